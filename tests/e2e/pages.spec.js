// From page to page: one experiment, and links that restore what is on screen.

import { expect, openLab, settled, test } from "./lab.js";
import { openStudy } from "./study.js";

const PAGES = ["Lab", "Smallest δ", "Transfer", "Inside", "Linearity", "The gap", "Batches", "Models"];

test("every page is there, and keeps picture and model", async ({ page }) => {
  await openLab(page, "?data=digits&picture=7&model=adversarial");
  const pages = page.getByRole("navigation", { name: "Pages" });
  expect(await pages.getByRole("link").allInnerTexts()).toEqual(PAGES);
  for (const name of [...PAGES.slice(1), "Lab"]) {
    await pages.getByRole("link", { name }).click();
    await expect(pages.getByRole("link", { name })).toHaveAttribute("aria-current", "page");
    await expect(page).toHaveTitle(`${name} · Epsilon Lab`);
    await expect(page).toHaveURL(/data=digits.*picture=7&model=adversarial/);
  }
  await settled(page);
});

test("a page's own settings stand in its link, and are kept while another page is shown", async ({ page }) => {
  await openStudy(page, "linearity", "linearity.reach=0.1&linearity.n=2");
  await expect(page.getByRole("textbox", { name: "Range of t, as a number" })).toHaveValue("0.1");
  await expect(page.getByRole("textbox", { name: "n, inputs, as a number" })).toHaveValue("2");
  const field = page.getByRole("textbox", { name: "t on screen, as a number" });
  await field.fill("-0.05");
  await field.press("Enter");
  await expect(page).toHaveURL(/linearity\.t=-0\.05/);
  const pages = page.getByRole("navigation", { name: "Pages" });
  await pages.getByRole("link", { name: "Models" }).click();
  await expect(page).not.toHaveURL(/linearity/);
  await pages.getByRole("link", { name: "Linearity" }).click();
  await expect(field).toHaveValue("-0.05");
  await expect(page.getByRole("textbox", { name: "Range of t, as a number" })).toHaveValue("0.1");
});

test("what makes no sense in a link is named", async ({ page }) => {
  await openStudy(page, "linearity", "linearity.reach=99");
  await expect(page.getByText("The link’s “linearity.reach” was not used")).toBeVisible();
  await expect(page.getByRole("textbox", { name: "Range of t, as a number" })).toHaveValue("0.25");
});
