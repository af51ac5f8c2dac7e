// Two models side by side, under the same attack.

import { column, everything, expect, expectDrawn, norms, openLab, pick, probabilities, setNumber, settled, test, verdict } from "./lab.js";

test("two models stand side by side on one picture and one attack", async ({ page }) => {
  await openLab(page);
  await expect(column(page, 1)).toHaveCount(0);
  await pick(page, "Side by side with", "Adversarial training");
  const [left, right] = [column(page, 0), column(page, 1)];
  await expect(left.getByRole("heading", { level: 2 })).toHaveText("Standard training");
  await expect(right.getByRole("heading", { level: 2 })).toHaveText("Adversarial training");
  const canvases = right.locator("canvas:not(.sentinel)");
  expect(await canvases.count()).toBe(await left.locator("canvas:not(.sentinel)").count());
  for (const canvas of await canvases.all()) await expectDrawn(canvas);
  expect(await probabilities(page, 0)).not.toEqual(await probabilities(page, 1));
  const [a, b] = [await left.boundingBox(), await right.boundingBox()];
  expect(b.x).toBeGreaterThanOrEqual(a.x + a.width);
  expect(b.y).toBeCloseTo(a.y, 0);
});

test("a control moves both models", async ({ page }) => {
  await openLab(page, "?compare=adversarial");
  const before = [await everything(page, 0), await everything(page, 1)];
  await setNumber(page, "ε", 0.03);
  for (const place of [0, 1]) {
    expect(await everything(page, place)).not.toEqual(before[place]);
    expect((await norms(page, place))["L∞"]).toBeCloseTo(0.03, 3);
    expect(await verdict(page, place)).toContain("0.03");
  }
});

test("each model says the same alone and beside another", async ({ page }) => {
  await openLab(page, "?model=standard&compare=adversarial&steps=10");
  const beside = await probabilities(page, 1);
  await pick(page, "Model", "Adversarial training");
  await expect(page.getByRole("combobox", { name: "Side by side with" }).locator("option:checked")).toHaveText("Standard training");
  await pick(page, "Side by side with", "no other model");
  await expect(column(page, 1)).toHaveCount(0);
  await settled(page);
  expect(await probabilities(page, 0)).toEqual(beside);
});
