// The further workers that help with the decision boundary: they make it faster, never different.

import { downloaded, expect, figure, openLab, setNumber, test } from "./lab.js";

const LINK = "?attack=pgd&steps=5&eps=0.1&compare=adversarial";

/** Opens the Lab as on a device with so many cores; says how many workers were started. */
async function openWithCores(page, cores, query) {
  await page.addInitScript(
    (cores) => Object.defineProperty(Navigator.prototype, "hardwareConcurrency", { get: () => cores }),
    cores,
  );
  let workers = 0;
  page.context().on("request", (request) => /\/engine-start-/.test(request.url()) && workers++);
  await openLab(page, query);
  return () => workers;
}

/** The decisions on both models' planes at an ε that is set by hand, when helpers are there. */
async function planes(page) {
  await setNumber(page, "ε", 0.12);
  const files = [];
  for (const place of [0, 1]) {
    const menu = figure(page, "Decisions", place).locator("details.figure-menu");
    await menu.locator("summary").click();
    const { bytes } = await downloaded(page, () => menu.getByRole("button", { name: "Numbers (CSV)" }).click());
    files.push(bytes.toString());
  }
  expect(files[0].match(/^decision,/gm)).toHaveLength(96 * 96);
  expect(files[0]).not.toEqual(files[1]);
  return files;
}

test("the planes are the same whoever computes them", async ({ browser, page }) => {
  const alone = await openWithCores(page, 1, LINK);
  const expected = await planes(page);
  expect(alone()).toBe(1);
  const other = await browser.newPage();
  const helped = await openWithCores(other, 3, LINK);
  expect(await planes(other)).toEqual(expected);
  expect(helped()).toBe(3);
  await other.close();
});

for (const [what, first] of [
  ["cannot be loaded", "const Own = Worker; globalThis.Worker = class extends Own { constructor(url, options) { super(`${url}-gone`, options); } };"],
  ["cannot be started", "delete globalThis.Worker;"],
  ["stop", "const Own = Worker; globalThis.Worker = class extends Own { postMessage(...all) { super.postMessage(...all); setTimeout(() => this.terminate(), 5); } };"],
]) {
  test.describe(() => {
    test.use({ complaints: /Failed to load resource/ });
    test(`helpers that ${what} leave nothing out`, async ({ page }) => {
      // What the engine's script does first.
      let changed = 0;
      await page.route(/\/engine-start-/, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, body: `${first}\n${await response.text()}` });
        changed++;
      });
      await openWithCores(page, 3, LINK);
      await planes(page);
      expect(changed).toBe(1);
    });
  });
}
