// Browsers with relaxed SIMD get an engine that samples planes faster: what an attack finds must not depend on it, and the
// planes hardly.

import { downloaded, everything, expect, fact, figure, openLab, test } from "./lab.js";

const LINK = "?attack=pgd&steps=20&eps=0.02&picture=3";

/** The decisions on the plane: class and its probability, for each point. */
async function decisions(page) {
  const menu = figure(page, "Decisions").locator("details.figure-menu");
  await menu.locator("summary").click();
  const { bytes } = await downloaded(page, () => menu.getByRole("button", { name: "Numbers (CSV)" }).click());
  return bytes.toString().split("\n").filter((line) => line.startsWith("decision,")).map((line) => line.split(","));
}

test("an attack is the same with relaxed SIMD and without, and the plane within rounding", async ({ page, browser }) => {
  const other = await browser.newPage();
  await other.route(/\/engine-start-/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `WebAssembly.validate = () => false;\n${await response.text()}` });
  });
  const loaded = (page) => {
    const files = [];
    page.on("request", (request) => /engine-.*_bg\.wasm$/.test(request.url()) && files.push(request.url()));
    return files;
  };
  const [relaxedFiles, plainFiles] = [loaded(page), loaded(other)];
  await openLab(page, LINK);
  await openLab(other, LINK);
  expect(relaxedFiles.some((file) => /engine-relaxed-/.test(file))).toBe(true);
  expect(plainFiles.some((file) => /engine-[0-9a-f]{16}_bg/.test(file))).toBe(true);
  expect(await fact(page, "Arithmetic")).toContain("fused");
  expect(await fact(other, "Arithmetic")).toBe("exact");

  const said = async (page) => (await everything(page)).map((text) => text.replace("; decisions on the plane fused", ""));
  expect(await said(page)).toEqual(await said(other));

  const [fused, exact] = [await decisions(page), await decisions(other)];
  expect(exact).toHaveLength(96 * 96);
  const [classAt, probabilityAt] = [3, 4];
  const differing = (differ) => exact.filter((row, i) => differ(row, fused[i])).length;
  expect(differing((a, b) => a.slice(0, classAt).join() !== b.slice(0, classAt).join()), "places").toBe(0);
  expect(differing((a, b) => a[classAt] !== b[classAt]), "decisions").toBeLessThan(5);
  const apart = (a, b) => Math.abs(Number(a[probabilityAt]) - Number(b[probabilityAt]));
  expect(differing((a, b) => !(apart(a, b) < 0.01)), "probabilities").toBe(0);
  await other.close();
});
