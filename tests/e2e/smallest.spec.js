// The smallest perturbation of each attack.

import { downloaded, expect, expectAccessible, expectDrawn, number, test, verdict, settled } from "./lab.js";
import { done, fits, openStudy } from "./study.js";

const rows = (page) => page.locator(".smallest-row");

/** Name and ‖δ‖ of each row, from above; no number where none was found. */
const lengths = (page) =>
  rows(page).evaluateAll((rows) =>
    rows.map((row) => [row.querySelector("button").firstChild.textContent, row.querySelector(".smallest-number").textContent]),
  ).then((rows) => rows.map(([name, text]) => [name, number(text)]));

test("every attack has a row, the smallest δ first, and the iterative ones beat one step and noise", async ({ page }) => {
  await openStudy(page, "smallest");
  const found = await lengths(page);
  expect(found.length).toBeGreaterThan(6);
  const numbers = found.map(([, length]) => length).filter((length) => !Number.isNaN(length));
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  const of = Object.fromEntries(found);
  expect(of.PGD).toBeLessThan(of.FGSM);
  expect(of.FGSM).toBeLessThan(of["Random noise"]);
  for (const canvas of await rows(page).first().locator("canvas").all()) await expectDrawn(canvas);
});

test("the model trained against PGD needs a larger δ, and other norms other attacks", async ({ page }) => {
  await openStudy(page, "smallest");
  const before = Object.fromEntries(await lengths(page));
  await page.getByRole("combobox", { name: "Model" }).selectOption("adversarial");
  await done(page);
  const after = Object.fromEntries(await lengths(page));
  expect(after.PGD).toBeGreaterThan(before.PGD);
  await page.getByRole("radio", { name: "L1", exact: true }).check();
  await done(page);
  await expect(rows(page).filter({ hasText: "DeepFool" })).toHaveCount(0);
  await expect(page.getByRole("heading", { name: "Smallest δ found, in L1" })).toBeVisible();
});

test("a row opens the Lab, where the attack succeeds with that ε", async ({ page }) => {
  await openStudy(page, "smallest");
  await page.getByRole("button", { name: /^PGD ?: open in the Lab/ }).click();
  await settled(page);
  await expect(page).toHaveURL(/attack=pgd/);
  expect(await verdict(page)).toMatch(/^Fooled/);
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("The smallest δ");
});

test("it works by keys alone, and follows the picture", async ({ page }) => {
  await openStudy(page, "smallest");
  const before = await lengths(page);
  const strip = page.getByRole("listbox", { name: /Test pictures/ });
  await strip.focus();
  await page.keyboard.press("ArrowRight");
  await expect(page).toHaveURL(/picture=1&/);
  await done(page);
  expect(await lengths(page)).not.toEqual(before);
  const first = rows(page).first().getByRole("button");
  await first.focus();
  await page.keyboard.press("Enter");
  await expect(page).not.toHaveURL(/page=smallest/);
});

test("the rows are there to take away", async ({ page }) => {
  await openStudy(page, "smallest");
  const { name, bytes } = await downloaded(page, () => page.getByRole("button", { name: "Download the rows (CSV)" }).click());
  expect(name).toBe("fashion-0-standard-smallest-linf.csv");
  const [head, ...lines] = bytes.toString().trim().split("\n");
  expect(head).toMatch(/^attack,found,L0,L1,L2,Linf,epsilon,class/);
  expect(lines.length).toBe(await rows(page).count());
  for (const line of lines) expect(line.split(",").length).toBe(head.split(",").length);
});

test("axe finds nothing, and nothing has to be scrolled sideways @phone @dark @projector", async ({ page }) => {
  await openStudy(page, "smallest");
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});
