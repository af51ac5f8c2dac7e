// Does what fools one model fool another?

import { downloaded, expect, expectAccessible, expectDrawn, test } from "./lab.js";
import { fits, openStudy } from "./study.js";

const cells = (page) => page.locator("table.matrix .cell");

/** Computes a small matrix: the first two models as sources, all as targets. */
async function compute(page) {
  const sources = page.getByRole("group", { name: /^Sources/ }).getByRole("checkbox");
  for (let i = 2; i < (await sources.count()); i += 1) await sources.nth(i).uncheck();
  await page.getByRole("combobox", { name: "Test pictures" }).selectOption("20");
  await page.getByRole("button", { name: "Compute the matrix" }).click();
  await expect(page.getByText("20 of 20 pictures counted")).toBeVisible({ timeout: 45_000 });
  await expect(page.getByRole("button", { name: "Compute the matrix" })).toBeEnabled();
}

test("this δ is shown to every model, and fools its source", async ({ page }) => {
  await openStudy(page, "transfer");
  const rows = page.locator("table.row-table tbody tr");
  expect(await rows.count()).toBeGreaterThanOrEqual(4);
  await expect(rows.filter({ hasText: "source" })).toContainText("fooled");
  for (const canvas of await page.locator(".triple canvas.pixels").all()) await expectDrawn(canvas);
});

test("the matrix is computed, and a model attacked directly errs most", async ({ page }) => {
  await openStudy(page, "transfer");
  await compute(page);
  const share = async (cell) => Number(/(\d+) of (\d+)/.exec(await cell.getAttribute("aria-label")).slice(1).reduce((part, whole) => part / whole));
  const itself = await share(page.locator("[data-cell='0-0']"));
  expect(itself).toBeGreaterThan(0.7);
  for (let t = 1; t < (await cells(page).count()) / 2; t += 1) {
    expect(await share(page.locator(`[data-cell='0-${t}']`))).toBeLessThanOrEqual(itself);
  }
});

test("a cell opens its pictures, by mouse and by keys", async ({ page }) => {
  await openStudy(page, "transfer");
  await compute(page);
  await page.locator("[data-cell='0-0']").click();
  const pictures = page.locator(".cell-pictures");
  await expect(pictures.getByRole("heading", { level: 3 })).toContainText("From “Standard training” to “Standard training”");
  for (const canvas of await pictures.locator("canvas").all()) await expectDrawn(canvas);
  await page.locator("[data-cell='0-0']").focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.locator("[data-cell='0-1']")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(pictures.getByRole("heading", { level: 3 })).not.toContainText("to “Standard training”");
  await expect(page.locator("[data-cell='0-1']")).toHaveAttribute("aria-pressed", "true");
});

test("a long matrix is stopped, and what was counted stays", async ({ page }) => {
  await openStudy(page, "transfer");
  await page.getByRole("combobox", { name: "Test pictures" }).selectOption({ label: "the first 1000" });
  await page.getByRole("button", { name: "Compute the matrix" }).click();
  await expect(cells(page).first()).toBeVisible();
  // Meanwhile the live row follows the picture.
  await page.getByRole("button", { name: "Next" }).click();
  await expect(page.locator(".status-line").first()).toHaveAttribute("data-state", "done");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("Stopped; what was computed stays")).toBeVisible();
  await expect(cells(page).first()).toBeVisible();
});

test("the counts are there to take away", async ({ page }) => {
  await openStudy(page, "transfer");
  await compute(page);
  const { name, bytes } = await downloaded(page, () => page.getByRole("button", { name: "Download the counts (CSV)" }).click());
  expect(name).toBe("fashion-transfer-pgd.csv");
  expect(bytes.toString().trim().split("\n").length).toBe(1 + (await cells(page).count()));
});

test("axe finds nothing, and nothing has to be scrolled sideways @phone @dark @projector", async ({ page }) => {
  await openStudy(page, "transfer");
  await compute(page);
  await page.locator("[data-cell='0-1']").click();
  await expect(page.locator(".cell-pictures")).toBeVisible();
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});
