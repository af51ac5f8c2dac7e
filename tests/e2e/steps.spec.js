// The steps of an attack: picture, bars, charts and the point on the plane move together.

import { choose, column, expect, expectDrawn, fact, figure, losses, norms, openLab, pick, pixels, probabilities, query, setNumber, test } from "./lab.js";

const slider = (page) => page.getByRole("slider", { name: "Step on screen" });
const adversarial = (page) => column(page).locator(".equation canvas.pixels").last();
const point = (page) => page.locator("canvas.plane").first();

test("every step shows its own picture, bars, loss and point on the plane", async ({ page }) => {
  await openLab(page, "?attack=pgd&steps=8&eps=0.1");
  await expectDrawn(point(page));
  const seen = [];
  for (const step of [0, 2, 8]) {
    await setNumber(page, "Step on screen", step);
    await expect(figure(page, step === 8 ? "x" : `x after step ${step} of 8`).last()).toBeVisible();
    seen.push([await pixels(adversarial(page)), await pixels(point(page)), await probabilities(page), (await losses(page))[1], (await norms(page))["L∞"]]);
  }
  const [first, middle, last] = seen;
  for (const part of first.keys()) {
    expect(first[part], `part ${part}`).not.toEqual(middle[part]);
    expect(middle[part], `part ${part}`).not.toEqual(last[part]);
  }
  expect(first[4]).toBe(0);
  for (const [name, before, after] of first[2]) expect(after, name).toBe(before);
  expect(first[3]).toBeLessThan(middle[3]);
});

test("the steps play and stop at the last", async ({ page }) => {
  await openLab(page, "?attack=pgd&steps=5");
  await page.getByRole("button", { name: "Play the steps" }).click();
  await expect(slider(page)).toHaveValue("1");
  await page.getByRole("button", { name: "Pause" }).click();
  const paused = await slider(page).inputValue();
  await expect(page.getByRole("button", { name: "Play the steps" })).toBeVisible();
  await expect(slider(page)).toHaveValue(paused);
  await page.getByRole("button", { name: "Play the steps" }).click();
  await expect(slider(page)).toHaveValue("5");
  await expect(page.getByRole("button", { name: "Play the steps" })).toBeVisible();
  await page.getByRole("button", { name: "Show the result" }).click();
  await expect(page.getByRole("button", { name: "Show the result" })).toBeDisabled();
});

test("the steps of two models move together", async ({ page }) => {
  await openLab(page, "?attack=pgd&steps=6&compare=adversarial");
  await setNumber(page, "Step on screen", 3);
  for (const place of [0, 1]) await expect(figure(page, "x after step 3 of 6", place)).toBeVisible();
});

test("the step on screen is part of the link, and the trace sets it", async ({ page }) => {
  await openLab(page, "?attack=pgd&steps=6&step=2");
  await expect(slider(page)).toHaveValue("2");
  await page.getByRole("slider", { name: /^Loss/ }).press("ArrowRight");
  await expect(slider(page)).toHaveValue("3");
  await query(page, /step=3/);
});

test("an attack of one step has nothing to play", async ({ page }) => {
  await openLab(page);
  await choose(page, "Attack", "FGSM");
  await expect(slider(page)).toBeHidden();
  expect(await fact(page, "Gradients used")).toBe("1");
  await choose(page, "Attack", "PGD");
  await expect(slider(page)).toBeVisible();
  await pick(page, "Goal", { index: 1 });
  await expect(slider(page)).toBeVisible();
});
