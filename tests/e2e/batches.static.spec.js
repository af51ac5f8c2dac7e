// Batches without a server: the same answers, from the page's own workers.

import { composer, line, lines, long, rows, seed, small, start, view } from "./batches.js";
import { downloaded, expect, expectAccessible, expectDrawn, served, test } from "./lab.js";

// The page asks for a server; a static host says that there is none.
test.use({ complaints: /Failed to load resource/ });

test("a grid is computed in the page, as the server computes it", async ({ page }) => {
  const asked = small(seed());
  await page.goto(asked);
  await expect(composer(page)).toContainText("1.5 million are allowed in this page, without a server");
  await start(page);
  await expect(line(page)).toHaveText(/^Done, in this page, in .*: (\d+) of \1 chunks/, { timeout: 90_000 });
  await expect(view(page)).toContainText("No server answers, so this page’s own workers compute it");
  await expectDrawn(view(page).locator("canvas.lines"));
  const found = await rows(page);
  const { name, bytes } = await downloaded(page, () => view(page).getByRole("button", { name: "Download this table (CSV)" }).first().click());
  expect(name).toBe("robust-accuracy-0.csv");
  expect(lines(bytes)).toHaveLength(1 + found.length);
  await expectAccessible(page);

  await page.goto(served + asked);
  await start(page);
  await expect(line(page)).toHaveText(/^Done, on the server/, { timeout: 90_000 });
  expect(await rows(page)).toEqual(found);
});

test("a batch in the page goes on while another page is shown, and is stopped", async ({ page }) => {
  await page.goto(long(seed()));
  await start(page);
  await expect(line(page)).toHaveText(/^Computing, in this page/, { timeout: 60_000 });
  const pages = page.getByRole("navigation", { name: "Pages" });
  await pages.getByRole("link", { name: "Models" }).click();
  await pages.getByRole("link", { name: "Batches" }).click();
  await expect(line(page)).toHaveText(/^Computing, in this page/);
  await view(page).getByRole("button", { name: "Stop" }).click();
  await expect(line(page)).toHaveText(/^Stopped; what was computed stays, in this page/);
});

test("too much for a page is refused in a sentence", async ({ page }) => {
  await page.goto(`${long(seed())}&batches.models=standard,adversarial`.replace("values=1", "values=16"));
  await start(page);
  await expect(line(page)).toHaveText(/^Not computed: in this page, without a server: this batch takes about/);
});
