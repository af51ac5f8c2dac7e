// Every attack in the Lab: it ends, says what it did, and shows what makes it what it is.

import {
  choose, column, expect, expectAccessible, expectDrawn, fact, figure, norms, openLab, pick, setNumber, settled, test, verdict,
} from "./lab.js";

test.slow();

/** Each attack, and the beginning of the caption of a figure that only it has. */
const stories = [
  ["mi-fgsm", "m, the accumulated direction"],
  ["apgd", "The step size adapts itself"],
  ["cw", "The search over c"],
  ["lbfgs", "The search over c"],
  ["flow", "The flow"],
  ["square", "Progress against queries"],
  ["boundary", "Progress against queries"],
  ["spatial", "Loss of every rotation"],
];

for (const [attack, caption] of stories) {
  test(`${attack} shows what makes it what it is`, async ({ page }) => {
    await openLab(page, `?attack=${attack}&eps=0.1`);
    expect(await verdict(page)).toMatch(/Fooled|Holds|became|still/);
    const story = figure(page, caption);
    await expect(story).toBeVisible();
    for (const canvas of await story.locator("canvas").all()) await expectDrawn(canvas);
    expect(await column(page).innerText()).not.toMatch(/NaN|undefined|inf\b/);
  });
}

test("DeepFool draws its linearised boundaries, and names the nearest first", async ({ page }) => {
  await openLab(page, "?attack=deepfool&norm=l2&eps=1.5");
  const rows = await page.locator("table.boundaries tbody tr").all();
  expect(rows).toHaveLength(9);
  await expect(rows[0]).toContainText("nearest");
  await expect(page.locator(".plane-legend")).toContainText("nearest boundary, linearised");
  expect(await verdict(page)).toContain("with a δ of L2");
  expect((await norms(page)).L2).toBeLessThan(1);
  await setNumber(page, "Step on screen", 0);
  expect((await norms(page)).L2).toBe(0);
  await expectAccessible(page);
});

test("who attacks without gradients sees none", async ({ page }) => {
  await openLab(page, "?attack=pgd");
  await expect(figure(page, "∂loss/∂x at x").first()).toBeVisible();
  await choose(page, "Attack", "Square");
  await expect(figure(page, "∂loss/∂x at x")).toHaveCount(0);
  expect(await fact(page, "Gradients used")).toBe("0");
});

test("the composer makes known attacks of the parts of PGD", async ({ page }) => {
  await openLab(page, "?attack=mi-fgsm&steps=10&eps=0.1");
  const known = await norms(page);
  const loss = await fact(page, "Loss");
  await choose(page, "Attack", "PGD");
  await page.getByRole("group", { name: /^Composer/ }).getByRole("button", { name: "MI-FGSM" }).click();
  await settled(page);
  await expect(page.getByText("These parts make MI-FGSM.")).toBeVisible();
  expect(await norms(page)).toEqual(known);
  expect(await fact(page, "Loss")).toBe(loss);
  await pick(page, "Objective", "margin");
  await expect(page.getByText("These parts make an attack of your own.")).toBeVisible();
  await expect(page).toHaveURL(/objective=margin/);
});

test("every attack of the list ends, and its settings are its own", async ({ page }) => {
  await openLab(page);
  const names = await page.getByRole("group", { name: "Attack" }).getByRole("radio").evaluateAll((all) =>
    all.map((radio) => radio.closest("label").textContent));
  expect(names.length).toBeGreaterThanOrEqual(12);
  for (const name of names) {
    await choose(page, "Attack", name);
    expect(await verdict(page), name).toMatch(/Fooled|Holds|became|still|nothing/);
    await expect(page.locator(".about summary")).toHaveText(`About ${name}`);
  }
});
