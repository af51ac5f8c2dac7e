// What models look at.

import { difference, downloaded, expect, expectAccessible, expectDrawn, number, pixels, test } from "./lab.js";
import { done, fits, openStudy } from "./study.js";

const model = (page, place) => page.locator("section.inside").nth(place);
const map = (page, title, place = 0) =>
  model(page, place).locator(".map-row").filter({ has: page.getByRole("heading", { name: title, exact: true }) });

test("six maps of two models, at x and at x + δ, are all drawn", async ({ page }) => {
  await openStudy(page, "inside");
  for (const place of [0, 1]) {
    await expect(model(page, place).locator(".map-row")).toHaveCount(6);
    for (const canvas of await model(page, place).locator("canvas.pixels").all()) await expectDrawn(canvas);
  }
  await expect(model(page, 0).getByRole("heading", { level: 2 })).toHaveText("Standard training");
});

test("integrated gradients add up to the difference of the logits", async ({ page }) => {
  await openStudy(page, "inside");
  const sentence = await map(page, "Integrated gradients").locator(".completeness p").first().innerText();
  const [, sum, score, baseline] = /sum to (\S+); F\(x\) − F\(x₀\) = (\S+) − \((\S+)\)/.exec(sentence).map(number);
  expect(Math.abs(sum - (score - baseline))).toBeLessThan(0.05 * Math.abs(score - baseline) + 0.05);
});

test("another class is explained by another map", async ({ page }) => {
  await openStudy(page, "inside");
  const canvas = map(page, "Gradient").locator("canvas.pixels").first();
  const before = await pixels(canvas);
  await page.getByRole("combobox", { name: "Explain the logit of" }).selectOption({ label: "Bag" });
  await done(page);
  expect(await difference(page, before, await pixels(canvas))).toBeGreaterThan(0.05);
  await expect(model(page, 0).locator(".says")).toContainText("Logit of Bag");
});

test("a map's own parameter changes it, by keys alone", async ({ page }) => {
  await openStudy(page, "inside");
  const canvas = map(page, "SmoothGrad").locator("canvas.pixels").first();
  const before = await pixels(canvas);
  await page.getByText("Settings of the maps").focus();
  await page.keyboard.press("Enter");
  const field = page.getByRole("textbox", { name: /Samples.*, as a number/ });
  await field.focus();
  await field.fill("3");
  await page.keyboard.press("Enter");
  await done(page);
  expect(await difference(page, before, await pixels(canvas))).toBeGreaterThan(0.01);
});

test("one scale for a row is the same at both ends for both models", async ({ page }) => {
  await openStudy(page, "inside");
  await page.getByRole("radio", { name: "the same in a row" }).check();
  const ends = () => Promise.all([0, 1].map((place) => map(page, "Gradient", place).locator(".scale-numbers span:last-child").allInnerTexts()));
  await expect.poll(async () => new Set((await ends()).flat()).size).toBe(1);
});

test("a model without convolutions says that it has no Grad-CAM", async ({ page }) => {
  await openStudy(page, "inside", "model=mlp");
  await expect(map(page, "Grad-CAM").getByText(/^Not for this model/).first()).toBeVisible();
});

test("a map is there to take away", async ({ page }) => {
  await openStudy(page, "inside");
  const first = map(page, "Gradient").getByRole("figure").first();
  await first.locator("summary").click();
  const { name, bytes } = await downloaded(page, () => first.getByRole("button", { name: "Numbers (CSV)" }).click());
  expect(name).toBe("fashion-0-standard-gradient-at-x.csv");
  expect(bytes.toString().trim().split("\n").length).toBe(28);
});

test("axe finds nothing, and nothing has to be scrolled sideways @phone @dark @projector", async ({ page }) => {
  await openStudy(page, "inside");
  await page.getByText("Settings of the maps").click();
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});
