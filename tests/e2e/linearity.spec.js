// How linear models are around a picture.

import { downloaded, expect, expectAccessible, expectDrawn, number, test } from "./lab.js";
import { done, fits, openStudy } from "./study.js";

const chart = (page, title) => page.locator(".chart-of-model").filter({ has: page.locator(".figure-caption", { hasText: title }) });

/** The numbers of a model’s row: R² of logit and margin, and the two slopes. */
async function measured(page, title) {
  const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: title, exact: true }) });
  return (await row.locator(".figure-number").allInnerTexts()).map(number);
}

test("every model has its chart, and attacks move the true class's logit down", async ({ page }) => {
  await openStudy(page, "linearity");
  const charts = page.locator(".chart-of-model");
  expect(await charts.count()).toBeGreaterThanOrEqual(4);
  for (const canvas of await charts.locator("canvas").all()) await expectDrawn(canvas);
  const [r2, , slope, fitted] = await measured(page, "Standard training");
  expect(r2).toBeGreaterThan(0.5);
  expect(r2).toBeLessThanOrEqual(1);
  expect(slope).toBeLessThan(0);
  expect(fitted).toBeLessThan(0);
});

test("the robust model is flatter", async ({ page }) => {
  await openStudy(page, "linearity");
  const [, , standard] = await measured(page, "Standard training");
  const title = (await page.getByRole("rowheader").allInnerTexts()).find((title) => /advers|PGD/i.test(title));
  const [, , robust] = await measured(page, title);
  expect(Math.abs(robust)).toBeLessThan(Math.abs(standard));
});

test("t is moved by mouse and keys, and the words follow it", async ({ page }) => {
  await openStudy(page, "linearity");
  const says = chart(page, "Standard training").locator("p.readout");
  await expect(says).toContainText("At t = 0.1:");
  const slider = page.getByRole("slider", { name: "t on screen" });
  await slider.focus();
  await page.keyboard.press("ArrowLeft");
  await expect(says).not.toContainText("At t = 0.1:");
  const field = page.getByRole("textbox", { name: "t on screen, as a number" });
  await field.fill("-0.2");
  await field.press("Enter");
  await expect(says).toContainText("At t = −0.2:");
  await field.fill("0.4");
  await field.press("Enter");
  await expect(page.getByRole("alert").filter({ hasText: "The lines reach" })).toBeVisible();
});

test("models are taken out, and pixels may leave the box", async ({ page }) => {
  await openStudy(page, "linearity");
  const [clipped] = await measured(page, "Standard training");
  await page.getByLabel("Keep pixels in [0, 1]").uncheck();
  await done(page);
  expect((await measured(page, "Standard training"))[0]).not.toBe(clipped);
  const before = await page.locator(".chart-of-model").count();
  await page.getByRole("group", { name: "Models" }).getByRole("checkbox").first().uncheck();
  await expect(page.locator(".chart-of-model")).toHaveCount(before - 1);
});

test("the worst change grows with n, noise only with its root", async ({ page }) => {
  await openStudy(page, "linearity");
  const says = page.locator(".result-line");
  await expect(says).toContainText("ε · m · n = 0.1 · 0.05 · 784 = 3.92");
  await page.getByRole("radio", { name: "150 528 = 3 · 224 · 224" }).check();
  await expect(says).toContainText("150528 = 753");
});

test("a chart is there to take away", async ({ page }) => {
  await openStudy(page, "linearity");
  const first = chart(page, "Standard training");
  await first.locator("summary").click();
  const { name, bytes } = await downloaded(page, () => first.getByRole("button", { name: "Numbers (CSV)" }).click());
  expect(name).toBe("fashion-0-standard-linearity.csv");
  expect(bytes.toString().split("\n").length).toBeGreaterThan(160);
});

test("axe finds nothing, and nothing has to be scrolled sideways @phone @dark @projector", async ({ page }) => {
  await openStudy(page, "linearity");
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});
