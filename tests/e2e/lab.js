// What every end-to-end test uses: `test` and `expect` come from here, not from Playwright.

import AxeBuilder from "@axe-core/playwright";
import { test as base, expect } from "@playwright/test";

/**
 * Playwright's `test`, except that a test also fails if the page writes an error or a warning to the console, throws,
 * or asks another host for anything. A test in which complaints are right says which:
 * `test.use({ complaints: [/Failed to load resource/] })`.
 */
export const test = base.extend({
  complaints: [[], { option: true }],
  page: async ({ page, baseURL, complaints }, use) => {
    const host = new URL(baseURL).host;
    const seen = [];
    const complain = (text) => complaints.some((expected) => expected.test(text)) || seen.push(text);
    page.on("console", (message) => {
      if (["error", "warning", "assert"].includes(message.type())) complain(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complain(`thrown: ${error.message}`));
    page.context().on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:"].includes(url.protocol) && url.host !== host) complain(`another host: ${url}`);
    });
    await use(page);
    expect(seen, "what the page complained about").toEqual([]);
  },
});

export { expect };

/** Fails if axe finds anything on the page as it is now. */
export async function expectAccessible(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.target).join(" ")}`);
  expect(found, "what axe found").toEqual([]);
}

/** The addresses of everything the page asks for while `action` runs. */
export async function requestsDuring(page, action) {
  const urls = [];
  const note = (request) => urls.push(request.url());
  page.context().on("request", note);
  await action();
  page.context().off("request", note);
  return urls;
}
