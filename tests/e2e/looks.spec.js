// On a phone, in the dark, on a projector: everything fits, and axe finds nothing.

import { column, expect, expectAccessible, openLab, pick, test } from "./lab.js";

const fits = (page) =>
  page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth && document.scrollingElement.clientWidth <= innerWidth);

test("axe finds nothing on the Lab, with one model, two, or all that can be opened @phone @dark @projector", async ({ page }) => {
  await openLab(page);
  await expectAccessible(page);
  await pick(page, "Side by side with", { index: 1 });
  await expect(column(page, 1)).toBeVisible();
  await page.locator("details.figure-menu summary").first().click();
  await page.getByText("This experiment as a PyTorch program").click();
  await expect(page.getByLabel("PyTorch program")).toBeVisible();
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});

test("axe finds nothing where a picture of one’s own is drawn @phone @dark @projector", async ({ page }) => {
  await openLab(page);
  await page.getByRole("button", { name: "Draw or open…" }).click();
  await expect(page.getByRole("dialog", { name: "A picture of your own" })).toBeVisible();
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});

test("axe finds nothing on the models’ cards @phone @dark @projector", async ({ page }) => {
  await page.goto("?page=models");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("The models");
  for (const summary of await page.locator(".card summary").all()) await summary.click();
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});

test("nothing has to be scrolled sideways, and ε is at hand @phone", async ({ page, isMobile }) => {
  await openLab(page);
  expect(await fits(page)).toBe(true);
  const epsilon = page.getByRole("slider", { name: "ε", exact: true });
  await expect(epsilon).toHaveCount(1);
  for (const place of ["top", "bottom"]) {
    await page.evaluate((end) => scrollTo(0, end === "top" ? 0 : document.body.scrollHeight), place);
    if (isMobile || place === "top") await expect(epsilon, place).toBeInViewport();
  }
});

test("nothing covers what the attack did @phone", async ({ page }) => {
  await openLab(page);
  await expect(page.locator(".verdict")).toBeInViewport();
  await expect(column(page).locator(".equation canvas").first()).toBeInViewport();
});

test("light, dark and projector are chosen and remembered", async ({ page }) => {
  await openLab(page);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const size = () => page.evaluate(() => parseFloat(getComputedStyle(document.body).fontSize));
  const [light, usual] = [await paper(), await size()];
  await page.getByLabel("Display").selectOption("Dark");
  await expect.poll(paper).not.toBe(light);
  await page.getByLabel("Display").selectOption("Projector");
  await expect.poll(size).toBeGreaterThan(1.2 * usual);
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "projector");
  expect(await size()).toBeGreaterThan(1.2 * usual);
});

test("nothing moves by itself for who wants less motion", async ({ page }) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  await openLab(page);
  const moving = await column(page).locator(".bar").evaluateAll((bars) =>
    bars.filter((bar) => parseFloat(getComputedStyle(bar).transitionDuration) > 0.01 && getComputedStyle(bar).transitionProperty !== "none").length,
  );
  expect(moving).toBe(0);
});
