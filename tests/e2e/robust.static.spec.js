// Robust accuracy without a server of ours: in the page's workers, with the same numbers.

import { expect, openLab, pick, served, test } from "./lab.js";
import { count, counts, panel, report } from "./robust.js";

// The page asks for a server; a static host says that there is none.
test.use({ complaints: /Failed to load resource/ });

const question = "?data=digits&attack=pgd&steps=3&norm=l2&eps=1.5&start=random&seed=8";

test("the page’s workers count what the server counts", async ({ page }) => {
  await openLab(page, question);
  await count(page);
  await expect(report(page)).toHaveText(/Done, in this page, in .*workers?: 100 of 100 pictures/, { timeout: 90_000 });
  const here = await counts(page);
  await page.goto(served + question);
  await count(page);
  await expect(report(page)).toHaveText(/Done, on the server: 100 of 100 pictures/, { timeout: 90_000 });
  expect(await counts(page)).toEqual(here);
});

test("counting in the page can be stopped", async ({ page }) => {
  await openLab(page, "?data=digits&attack=pgd&steps=100&restarts=10&start=random&eps=0.02");
  // A little ε, so that few pictures are done early: minutes of work.
  await pick(page, "Test pictures", { index: 1 });
  await count(page);
  const bar = panel(page).getByRole("progressbar");
  await expect.poll(async () => Number(await bar.getAttribute("value")), { timeout: 60_000 }).toBeGreaterThan(0);
  await panel(page).getByRole("button", { name: "Stop" }).click();
  await expect(report(page)).toHaveText(/Stopped; what was computed stays/);
  const stopped = await bar.getAttribute("value");
  await page.getByRole("button", { name: "Next", exact: true }).click();
  await expect(page).toHaveURL(/picture=1/);
  expect(await bar.getAttribute("value")).toBe(stopped);
});
