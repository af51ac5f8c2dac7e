// What every end-to-end test uses: `test` and `expect` come from here, not from Playwright.

import AxeBuilder from "@axe-core/playwright";
import { test as base, expect } from "@playwright/test";

/**
 * Playwright's `test`, except that a test also fails if the page writes an error or a warning to the console, throws,
 * or asks another host for anything. A test in which complaints are right says which:
 * `test.use({ complaints: /Failed to load resource/ })`.
 */
export const test = base.extend({
  complaints: [null, { option: true }],
  page: async ({ page, baseURL, complaints }, use) => {
    const host = new URL(baseURL).hostname;
    const seen = [];
    const complain = (text) => complaints?.test(text) || seen.push(text);
    page.on("console", (message) => {
      if (["error", "warning", "assert"].includes(message.type())) complain(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complain(`thrown: ${error.message}`));
    page.context().on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:"].includes(url.protocol) && url.hostname !== host) complain(`another host: ${url}`);
    });
    await use(page);
    expect(seen, "what the page complained about").toEqual([]);
  },
});

export { expect };

/** Where the Lab is served: by our server, and by a host that knows nothing. */
export const served = `http://127.0.0.1:${process.env.EPSILON_LAB_TEST_PORT}/`;
export const hosted = `http://127.0.0.1:${process.env.EPSILON_LAB_STATIC_PORT}/a/folder/`;

/** Opens the Lab with the query of a link and waits until it has come to rest. */
export async function openLab(page, query = "") {
  await page.goto(query);
  await settled(page);
}

/** Waits until everything on screen belongs to the present experiment: what was computed is drawn in the next frame. */
export async function settled(page) {
  await frames(page);
  await expect(column(page)).toHaveAttribute("aria-busy", "false", { timeout: 30_000 });
  await frames(page);
}

/** Waits for two frames. */
async function frames(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Everything about one model: the first, or the one beside it. */
export function column(page, place = 0) {
  return page.locator("section.column").nth(place);
}

/** A figure by the beginning of its caption. */
export function figure(page, caption, place = 0) {
  const starts = new RegExp(`^${caption.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`);
  return column(page, place).getByRole("figure").filter({ has: page.locator(".figure-caption", { hasText: starts }) });
}

/** The sentence that says what the attack did. */
export async function verdict(page, place = 0) {
  return column(page, place).locator(".verdict").innerText();
}

/** A number as the page writes it; not a number where a dash stands. */
export function number(text) {
  const [, mantissa, exponent] = /^(−?[\d.]+)(?:\s·\s10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?/.exec(text.trim()) ?? [];
  const digits = (exponent ?? "⁰").replace("⁻", "-").replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(digit));
  return mantissa === undefined ? NaN : Number(mantissa.replace("−", "-")) * 10 ** Number(digits);
}

/** One of the facts about the attack: "Gradients used". */
export async function fact(page, name, place = 0) {
  const term = column(page, place).locator("dt", { hasText: new RegExp(`^${name}`) });
  return term.locator("xpath=following-sibling::dd[1]").innerText();
}

/** The loss at x, and at the step on screen. */
export async function losses(page, place = 0) {
  return (await fact(page, "Loss", place)).split("→").map(number);
}

/** The norms of the perturbation on screen. */
export async function norms(page, place = 0) {
  const rows = await column(page, place).locator("table.norms tr").all();
  const entries = rows.map(async (row) => [
    await row.getByRole("rowheader").innerText(),
    number(await row.getByRole("cell").first().innerText()),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

/** The class probabilities as they are written: [class, at x, at x + δ] for each. */
export async function probabilities(page, place = 0) {
  return column(page, place).locator("table.bars tbody tr").evaluateAll((rows) =>
    rows.map((row) => [
      row.querySelector(".class-name").textContent,
      ...[...row.querySelectorAll(".figure-value")].map((cell) => cell.textContent),
    ]),
  );
}

/** Everything that a column says, but for the time that it took. */
export async function everything(page, place = 0) {
  return column(page, place).evaluate((section) => {
    const copy = section.cloneNode(true);
    for (const term of copy.querySelectorAll("dt")) if (/^Time/.test(term.textContent)) term.nextElementSibling.remove();
    // Said with a delay, for screen readers: it may still be the sentence before.
    for (const late of copy.querySelectorAll(".visually-hidden")) late.remove();
    return [copy.textContent, ...[...copy.querySelectorAll("[aria-valuetext]")].map((chart) => chart.ariaValueText)];
  });
}

/** Types a number into a field and waits for what comes of it. */
export async function setNumber(page, name, value) {
  const field = page.getByRole("textbox", { name: `${name}, as a number`, exact: true });
  await field.fill(String(value));
  await field.press("Enter");
  await settled(page);
}

/** Chooses one of a few options that are side by side. */
export async function choose(page, group, option) {
  await page.getByRole("group", { name: group }).getByRole("radio", { name: option, exact: true }).check();
  await settled(page);
}

/** Chooses from a list. */
export async function pick(page, list, option) {
  await page.getByRole("combobox", { name: list, exact: true }).selectOption(option);
  await settled(page);
}

/** Fails if a canvas is blank: each is brought into view, for only what is in view is drawn. */
export async function expectDrawn(canvas) {
  await canvas.scrollIntoViewIfNeeded();
  const colours = () =>
    canvas.evaluate((source) => {
      // A copy is read: reading the canvas itself would make the browser keep it elsewhere.
      const copy = new OffscreenCanvas(source.width, source.height).getContext("2d", { willReadFrequently: true });
      copy.drawImage(source, 0, 0);
      return new Set(new Uint32Array(copy.getImageData(0, 0, source.width, source.height).data.buffer)).size;
    });
  await expect.poll(colours, "colours on the canvas").toBeGreaterThan(1);
}

/** The pixels of a canvas as a text that can be compared. */
export async function pixels(canvas) {
  await canvas.scrollIntoViewIfNeeded();
  return canvas.evaluate((source) => source.toDataURL());
}

/** The share of pixels in which two pictures, as given by `pixels`, differ. */
export async function difference(page, one, other) {
  return page.evaluate(async (sources) => {
    const [one, other] = await Promise.all(sources.map(async (source) => {
      const image = Object.assign(new Image(), { src: source });
      await image.decode();
      const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
      context.drawImage(image, 0, 0);
      return new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer);
    }));
    return one.length === other.length ? one.filter((pixel, i) => pixel !== other[i]).length / one.length : 1;
  }, [one, other]);
}

/** The file that `action` downloads: its name and its bytes. */
export async function downloaded(page, action) {
  const [download] = await Promise.all([page.waitForEvent("download"), action()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) };
}

/** What stands in the address once it has followed the experiment. */
export async function query(page, holds) {
  await expect(page).toHaveURL(holds);
  return new URL(page.url()).search;
}

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Fails if axe finds anything on the page as it is now. */
export async function expectAccessible(page) {
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
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
