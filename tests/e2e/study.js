// What the tests of the pages beside the Lab use.

import { expect } from "./lab.js";

/** Opens a page with the query of a link and waits until what it shows by itself is computed. */
export async function openStudy(page, name, query = "") {
  await page.goto(`?page=${name}&${query}`);
  await done(page);
}

/** Waits until the studies that are under way have come to their end. */
export async function done(page) {
  await frames(page);
  await expect(page.locator(".status-line").first()).toHaveAttribute("data-state", "done", { timeout: 45_000 });
  await frames(page);
}

async function frames(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Whether nothing has to be scrolled sideways. */
export const fits = (page) =>
  page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth && document.scrollingElement.clientWidth <= innerWidth);
