// The page opens.

import { expect, expectAccessible, requestsDuring, test } from "./lab.js";

test("the page opens @phone @dark", async ({ page }) => {
  await page.goto("");
  await expect(page).toHaveTitle(/Epsilon Lab/);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expectAccessible(page);
});

test("page and engine come down once, side by side", async ({ page }) => {
  const urls = await requestsDuring(page, async () => {
    const worker = page.waitForEvent("worker");
    await page.goto("");
    await worker;
    await page.waitForLoadState("networkidle");
  });
  for (const module of [/\/page-[0-9a-f]{16}_bg\.wasm$/, /\/engine-[0-9a-f]{16}_bg\.wasm$/]) {
    expect(urls.filter((url) => module.test(url)), String(module)).not.toEqual([]);
  }
});

test("nothing runs that is not a file of ours", async ({ page }) => {
  await page.goto("");
  const inline = await page.locator("script:not([src])").count();
  expect(inline).toBe(0);
});
