// Every control changes what is on screen, at once and rightly.

import { choose, everything, expect, expectDrawn, fact, losses, norms, number, openLab, pick, probabilities, setNumber, settled, test, verdict } from "./lab.js";

const slider = (page, name) => page.getByRole("slider", { name, exact: true });

test("ε = 0 leaves the picture as it is", async ({ page }) => {
  await openLab(page, "?picture=1");
  await setNumber(page, "ε", 0);
  expect(await norms(page)).toEqual({ L0: 0, L1: 0, L2: 0, "L∞": 0 });
  for (const [name, before, after] of await probabilities(page)) expect(after, name).toBe(before);
  const [before, after] = await losses(page);
  expect(after).toBe(before);
});

test("a larger ε does more harm, and never more than allowed", async ({ page }) => {
  await openLab(page, "?picture=1");
  let last = 0;
  for (const epsilon of [0.02, 0.05, 0.2]) {
    await setNumber(page, "ε", epsilon);
    const loss = (await losses(page))[1];
    expect(loss).toBeGreaterThan(last);
    expect((await norms(page))["L∞"]).toBeLessThanOrEqual(epsilon);
    last = loss;
  }
});

test("the slider of ε follows arrow keys, the mouse and its field", async ({ page }) => {
  await openLab(page, "?eps=0.1");
  const epsilon = slider(page, "ε");
  const field = page.getByRole("textbox", { name: "ε, as a number" });
  await epsilon.press("ArrowRight");
  await expect(field).toHaveValue("0.105");
  await epsilon.press("Shift+ArrowLeft");
  await expect(field).toHaveValue("0.1045");
  await epsilon.press("PageUp");
  await expect(field).toHaveValue("0.1545");
  await field.fill("8/255");
  await field.press("Enter");
  await expect(epsilon).toHaveAttribute("aria-valuetext", /8\/255/);
  const box = await epsilon.boundingBox();
  await page.mouse.move(box.x + 10, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 12 });
  await page.mouse.up();
  await settled(page);
  const now = Number(await field.inputValue());
  expect(now).toBeGreaterThan(0.1);
  expect((await norms(page))["L∞"]).toBeLessThanOrEqual(now + 1e-6);
  expect(await verdict(page)).toContain("within L∞ ≤");
});

for (const [norm, epsilon] of [["L∞", 0.06], ["L2", 1.2], ["L1", 9]]) {
  test(`under ${norm} the perturbation stays in its ball`, async ({ page }) => {
    await openLab(page, "?picture=3");
    await choose(page, "Norm of δ", norm);
    await setNumber(page, "ε", epsilon);
    const size = (await norms(page))[norm];
    expect(size).toBeLessThanOrEqual(epsilon * 1.001);
    expect(size).toBeGreaterThan(0.5 * epsilon);
    const [before, after] = await losses(page);
    expect(after).toBeGreaterThan(before);
    expect(await verdict(page)).toContain(norm);
  });
}

test("FGSM is one step, PGD as many as are asked for", async ({ page }) => {
  await openLab(page);
  await choose(page, "Attack", "FGSM");
  expect(await fact(page, "Gradients used")).toBe("1");
  await expect(slider(page, "Steps T")).toHaveCount(0);
  const once = (await losses(page))[1];
  await choose(page, "Attack", "PGD");
  await setNumber(page, "Steps T", 7);
  expect(await fact(page, "Gradients used")).toBe("7");
  await setNumber(page, "Steps T", 40);
  expect(await fact(page, "Gradients used")).toBe("40");
  expect((await losses(page))[1]).toBeGreaterThan(once);
});

test("α follows ε until it is set", async ({ page }) => {
  await openLab(page, "?eps=0.1");
  const alpha = page.getByRole("textbox", { name: "Step size α, as a number" });
  await expect(alpha).toHaveValue("0.0125");
  await setNumber(page, "ε", 0.2);
  await expect(alpha).toHaveValue("0.025");
  await setNumber(page, "Step size α", 0.001);
  expect(number(await fact(page, "Step size α"))).toBeCloseTo(0.001, 6);
  await expect(page.getByRole("checkbox", { name: "α follows ε" })).not.toBeChecked();
  expect((await norms(page))["L∞"]).toBeCloseTo(0.02, 4);
  await page.getByRole("checkbox", { name: "α follows ε" }).check();
  await settled(page);
  await expect(alpha).toHaveValue("0.025");
});

test("a targeted attack makes its target likelier", async ({ page }) => {
  await openLab(page);
  for (const target of ["Bag", "Trouser"]) {
    await pick(page, "Goal", `towards ${target}`);
    const said = (await probabilities(page)).find(([name]) => name === target).slice(1).map((text) => parseFloat(text.replace(/[<>]/, "")));
    expect(said[1], target).toBeGreaterThanOrEqual(said[0]);
    expect(await verdict(page)).toContain(`“${target}”`);
  }
});

test("one seed gives the same numbers again, another seed others", async ({ page }) => {
  await openLab(page, "?attack=pgd&steps=5&alpha=0.01&start=random&seed=3");
  const first = await everything(page);
  await page.reload();
  await settled(page);
  expect(await everything(page)).toEqual(first);
  await setNumber(page, "Seed", 4);
  expect(await everything(page)).not.toEqual(first);
  await setNumber(page, "Seed", 3);
  expect(await everything(page)).toEqual(first);
});

test("a random start begins off x, and restarts keep the strongest", async ({ page }) => {
  await openLab(page, "?attack=pgd&steps=3&alpha=0.01");
  const [clean] = await losses(page);
  await page.getByRole("checkbox", { name: "Random start in the ball" }).check();
  await settled(page);
  expect((await losses(page))[0]).not.toBe(clean);
  const once = (await losses(page))[1];
  await setNumber(page, "Restarts", 6);
  expect(Number(await fact(page, "Gradients used"))).toBe(18);
  expect((await losses(page))[1]).toBeGreaterThanOrEqual(once);
  expect(Number(await fact(page, "Restart that won"))).toBeLessThanOrEqual(6);
});

test("a click on the curve sets ε", async ({ page }) => {
  await openLab(page);
  const chart = page.getByRole("slider", { name: /^Class probabilities of the attacked/ });
  await expectDrawn(chart.locator("canvas"));
  await chart.click();
  await settled(page);
  const now = Number(await page.getByRole("textbox", { name: "ε, as a number" }).inputValue());
  expect(now).toBeGreaterThan(0.11);
});

test("other pictures span the plane on demand", async ({ page }) => {
  await openLab(page);
  const plane = page.locator("canvas.plane");
  await plane.scrollIntoViewIfNeeded();
  const before = await plane.getAttribute("aria-label");
  await choose(page, "Plane through x along", "two pictures");
  await setNumber(page, "First picture", 12);
  await expect(plane).not.toHaveAttribute("aria-label", before);
  await expect(plane).toHaveAttribute("aria-label", /picture 12/);
});

test("attack and view are reset at once", async ({ page }) => {
  await openLab(page);
  const usual = await everything(page);
  await page.goto("?norm=l2&eps=2&steps=7&target=3&seed=9");
  await settled(page);
  await page.getByRole("button", { name: "Reset attack and view" }).click();
  await settled(page);
  expect(await everything(page)).toEqual(usual);
});
