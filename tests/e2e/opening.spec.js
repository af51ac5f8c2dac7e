// Opening the Lab: everything is there before anything is touched.

import { column, expect, expectDrawn, fact, figure, losses, norms, openLab, probabilities, requestsDuring, test, verdict } from "./lab.js";

test("the Lab is drawn before anything is touched @phone", async ({ page }) => {
  await openLab(page);
  await expect(page).toHaveTitle(/Epsilon Lab/);
  expect(await verdict(page)).toMatch(/^(Fooled|Holds|Wrong)[^“]*“.+” \([<>]?[\d.]+\s%\)/);
  const canvases = await column(page).locator("canvas:not(.sentinel)").all();
  expect(canvases.length).toBeGreaterThanOrEqual(10);
  for (const canvas of canvases) await expectDrawn(canvas);
});

test("every panel says in words and numbers what it shows", async ({ page }) => {
  await openLab(page);
  for (const caption of ["x, the picture", "δ, the perturbation", "x + δ", "Class probabilities before", "∂loss/∂x at x",
    "∂loss/∂x at x + δ", "Decisions of this network", "Class probabilities of the attacked", "Loss (cross-entropy"]) {
    await expect(figure(page, caption).first(), caption).toBeVisible();
  }
  const [before, after] = await losses(page);
  expect(after).toBeGreaterThan(before);
  expect((await norms(page))["L∞"]).toBeCloseTo(0.1, 3);
  expect(await probabilities(page)).toHaveLength(10);
  expect(Number(await fact(page, "Gradients used"))).toBe(20);
  expect(await fact(page, "Time for the attack")).toMatch(/^[\d.]+\sm?s$/);
  const pictures = column(page).getByRole("img");
  for (const picture of await pictures.all()) expect((await picture.getAttribute("aria-label")).length).toBeGreaterThan(20);
  const charts = column(page).getByRole("slider");
  for (const chart of await charts.all()) expect((await chart.getAttribute("aria-valuetext")).length).toBeGreaterThan(10);
});

test("page and engine come down once, side by side", async ({ page }) => {
  const urls = await requestsDuring(page, async () => {
    const worker = page.waitForEvent("worker");
    await page.goto("");
    await worker;
    await page.waitForLoadState("networkidle");
  });
  for (const module of [/\/page-[0-9a-f]{16}_bg\.wasm$/, /\/engine-(relaxed-)?[0-9a-f]{16}_bg\.wasm$/]) {
    expect(urls.filter((url) => module.test(url)), String(module)).not.toEqual([]);
  }
});

test("nothing runs that is not a file of ours", async ({ page }) => {
  await page.goto("");
  const inline = await page.locator("script:not([src])").count();
  expect(inline).toBe(0);
});
