// What is attacked: data set, model, picture.

import { choose, column, expect, everything, openLab, pick, probabilities, query, requestsDuring, settled, test } from "./lab.js";

const chosen = (page) => page.getByRole("option", { selected: true }).and(page.locator(".thumb"));
const thumbs = (page) => page.locator(".thumb");

test("a click on a picture of the strip attacks it", async ({ page }) => {
  await openLab(page);
  const before = await everything(page);
  await page.getByRole("option", { name: /^Picture 7:/ }).click();
  await settled(page);
  await query(page, /picture=7&/);
  expect(await everything(page)).not.toEqual(before);
});

test("next, previous and random choose a picture", async ({ page }) => {
  await openLab(page);
  await page.getByRole("button", { name: "Next", exact: true }).click();
  await expect(chosen(page)).toHaveAttribute("id", "picture-1");
  await page.getByRole("button", { name: "Previous" }).click();
  await page.getByRole("button", { name: "Previous" }).click();
  await expect(chosen(page)).toHaveAttribute("id", "picture-999");
  await expect(chosen(page)).toBeInViewport();
  await page.getByRole("button", { name: "Random" }).click();
  await settled(page);
  const at = await chosen(page).getAttribute("id");
  await query(page, new RegExp(`picture=${at.replace("picture-", "")}&`));
});

test("the strip shows one class alone", async ({ page }) => {
  await openLab(page, "?data=digits");
  await pick(page, "Show", "7");
  const labels = await thumbs(page).evaluateAll((all) => all.map((thumb) => thumb.title));
  expect(labels.length).toBeGreaterThan(10);
  for (const label of labels) expect(label).toMatch(/^Picture \d+: 7$/);
  await page.getByRole("button", { name: "Next", exact: true }).click();
  await settled(page);
  await expect(chosen(page)).toHaveAttribute("title", /: 7$/);
});

test("at least 200 pictures of each data set can be had, later ones when they are needed", async ({ page }) => {
  const sheets = (urls) => [...new Set(urls.map((url) => /data\/(\w+\/test-\d+)\S*\.png/.exec(url)?.[1]).filter(Boolean))];
  for (const data of ["fashion", "digits"]) {
    const opened = await requestsDuring(page, async () => {
      await openLab(page, `?data=${data}`);
      await page.waitForLoadState("networkidle");
    });
    expect(sheets(opened)).toEqual([`${data}/test-0`]);
    const all = Number(/of (\d+)$/.exec(await page.locator(".pages span").innerText())[1]);
    expect(all).toBeGreaterThanOrEqual(200);
    const later = await requestsDuring(page, async () => {
      await openLab(page, `?data=${data}&picture=${all - 1}`);
      await page.waitForLoadState("networkidle");
    });
    expect(sheets(later).every((sheet) => sheet.startsWith(data))).toBe(true);
    expect(sheets(later)).toContain(`${data}/test-${Math.ceil(all / 200) - 1}`);
    await expect(chosen(page)).toHaveAttribute("id", `picture-${all - 1}`);
  }
});

test("each data set comes with a standard and an adversarially trained model", async ({ page }) => {
  await openLab(page);
  const said = new Set();
  for (const data of ["Fashion-MNIST", "Digits"]) {
    await choose(page, "Data set", data);
    for (const model of ["Standard training", "Adversarial training"]) {
      await pick(page, "Model", model);
      await expect(column(page).getByRole("heading", { level: 2 })).toHaveText(model);
      said.add(JSON.stringify(await probabilities(page)));
    }
  }
  expect(said.size).toBe(4);
});

test("a card leads back to its model in the Lab", async ({ page }) => {
  await page.goto("");
  await page.getByRole("link", { name: "Models" }).click();
  await expect(page).toHaveURL(/page=models/);
  const card = page.getByRole("region", { name: "Digits" }).or(page.locator("section", { hasText: "Digits" })).last().getByRole("article").filter({ hasText: "Adversarial training" });
  await expect(card.getByRole("link", { name: /Weights/ })).toHaveAttribute("href", /digits-.*\.safetensors/);
  await card.getByRole("button", { name: "Attack it in the Lab" }).click();
  await settled(page);
  await query(page, /data=digits&.*model=adversarial/);
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("The models");
});
