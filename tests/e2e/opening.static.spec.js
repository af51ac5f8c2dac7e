// dist/ on a host that knows nothing, below a path.

import { expect, test } from "./lab.js";

test("the page and its engine start without our server", async ({ page }) => {
  const worker = page.waitForEvent("worker");
  await page.goto("");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  expect((await worker).url()).toMatch(/\/a\/folder\/engine-start-[0-9a-f]{16}\.js$/);
});

test("every file that names its content is named by it", async ({ page, request }) => {
  const html = await (await request.get("")).text();
  await page.goto("");
  const files = [...html.matchAll(/\.\/((?:page|engine)-(?:start-)?[0-9a-f]{16}[^"]*)/g)].map((found) => found[1]);
  expect(files.length).toBeGreaterThanOrEqual(5);
  for (const file of files) expect((await request.get(file)).status(), file).toBe(200);
});
