// What can be taken away: links, steps back, pictures, numbers, a program.

import { execFileSync } from "node:child_process";
import { column, difference, downloaded, everything, expect, expectDrawn, figure, losses, norms, openLab, pixels, probabilities, query, setNumber, settled, test } from "./lab.js";

const link = "?data=digits&picture=31&model=standard&compare=adversarial&norm=l2&eps=1.7&attack=pgd&steps=9&alpha=0.31"
  + "&start=random&restarts=2&target=3&seed=42&step=4&plane=5-8&scale=same";

test.describe("copying", () => {
  test.use({ permissions: ["clipboard-read", "clipboard-write"] });

  test("a link restores exactly what was on screen", async ({ page, context }) => {
    await openLab(page, link);
    await setNumber(page, "ε", 1.9);
    const seen = [await everything(page, 0), await everything(page, 1)];
    const planes = (page) => Promise.all([0, 1].map((place) => pixels(figure(page, "Decisions", place).locator("canvas.plane"))));
    for (const place of [0, 1]) await expectDrawn(figure(page, "Decisions", place).locator("canvas.plane"));
    const drawn = await planes(page);
    await page.getByRole("banner").getByRole("button", { name: "Copy link" }).click();
    await expect(page.locator(".notice")).toContainText("Link copied.");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(new URL(copied).search).toBe(link.replace("eps=1.7", "eps=1.9"));
    const other = await context.newPage();
    await other.goto(copied);
    await settled(other);
    expect([await everything(other, 0), await everything(other, 1)]).toEqual(seen);
    // The names of regions keep their places while a slider moves, so that they may lie elsewhere.
    const again = await planes(other);
    for (const place of [0, 1]) expect(await difference(other, again[place], drawn[place])).toBeLessThan(0.01);
    await expect(other.locator(".notice")).toHaveCount(0);
  });

  test("the PyTorch program is copied, shown and saved alike", async ({ page }) => {
    await openLab(page, "?data=digits&norm=l2&eps=1.5&steps=4&seed=3");
    await page.getByRole("button", { name: "Copy as PyTorch" }).click();
    await expect(page.locator(".notice")).toContainText("Program copied.");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    await page.getByText("This experiment as a PyTorch program").click();
    expect(await page.getByLabel("PyTorch program").textContent()).toBe(copied);
    const { name, bytes } = await downloaded(page, () => page.getByRole("button", { name: "Save as PyTorch (.py)" }).click());
    expect(name).toMatch(/^digits-\d+.*\.py$/);
    expect(bytes.toString()).toBe(copied);
    for (const part of ["import torch", "safetensors", "epsilon = 1.5", "digits-standard.safetensors"]) expect(copied).toContain(part);
    if (hasPython()) execFileSync("python3", ["-c", "import sys; compile(sys.stdin.read(), 'program', 'exec')"], { input: copied });
  });
});

function hasPython() {
  try {
    return !!execFileSync("python3", ["--version"]);
  } catch {
    return false;
  }
}

test("undo and redo take back and bring back, by buttons and keys", async ({ page }) => {
  await openLab(page);
  const [undo, redo] = ["Undo", "Redo"].map((name) => page.getByRole("banner").getByRole("button", { name }));
  await expect(undo).toBeDisabled();
  await expect(redo).toBeDisabled();
  const before = await everything(page);
  await setNumber(page, "ε", 0.25);
  const after = await everything(page);
  await undo.click();
  await settled(page);
  expect(await everything(page)).toEqual(before);
  await expect(undo).toBeDisabled();
  await redo.click();
  await settled(page);
  expect(await everything(page)).toEqual(after);
  await page.getByRole("heading", { name: "Robust accuracy" }).click();
  await page.keyboard.press("Control+z");
  await settled(page);
  expect(await everything(page)).toEqual(before);
  await page.keyboard.press("Control+Shift+z");
  await settled(page);
  expect(await everything(page)).toEqual(after);
});

test("a whole drag of a slider is one step back", async ({ page }) => {
  await openLab(page, "?eps=0.1");
  // What follows at once is one gesture; a busy machine must not make it look slow.
  await page.clock.setFixedTime(Date.now());
  const epsilon = page.getByRole("slider", { name: "ε", exact: true });
  for (let i = 0; i < 8; i += 1) await epsilon.press("ArrowRight");
  await expect(page.getByRole("textbox", { name: "ε, as a number" })).toHaveValue("0.14");
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByRole("textbox", { name: "ε, as a number" })).toHaveValue("0.1");
});

const menu = (figure) => figure.locator("details.figure-menu");
async function download(page, figure, what) {
  await menu(figure).locator("summary").click();
  return downloaded(page, () => menu(figure).getByRole("button", { name: what }).click());
}

test("every figure can be had as a PNG file", async ({ page }) => {
  await openLab(page);
  const figures = await column(page).getByRole("figure").all();
  expect(figures.length).toBeGreaterThanOrEqual(9);
  const names = new Set();
  for (const each of figures) {
    const { name, bytes } = await download(page, each, "Picture (PNG)");
    names.add(name);
    expect(name).toMatch(/^fashion-0-standard-[\w-]+\.png$/);
    expect([...bytes.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
    expect(width, name).toBeGreaterThanOrEqual(600);
    expect(height, name).toBeGreaterThanOrEqual(600);
    // A blank picture of that size takes far fewer bytes.
    expect(bytes.length, name).toBeGreaterThan(5000);
  }
  expect(names.size).toBe(figures.length);
});

const table = (bytes) => bytes.toString().trim().split("\n").map((line) => line.split(","));

test("the numbers of a figure are those on screen", async ({ page }) => {
  await openLab(page, "?eps=0.1&steps=6");
  const { bytes: bars, name } = await download(page, figure(page, "Class probabilities before"), "Numbers (CSV)");
  expect(name).toMatch(/probabilities\.csv$/);
  const said = await probabilities(page);
  const percent = (text) => Number(text) * 100;
  table(bars).slice(1).forEach(([, label, before, after], row) => {
    expect(label).toBe(said[row][0]);
    for (const [value, shown] of [[before, said[row][1]], [after, said[row][2]]]) {
      const written = parseFloat(shown.replace(/[<>]/, ""));
      expect(Math.abs(percent(value) - written), `${label}: ${value} is ${shown}`).toBeLessThanOrEqual(0.1);
    }
  });

  const delta = table((await download(page, figure(page, "δ, the perturbation"), "Numbers (CSV)")).bytes).flat().map(Number);
  expect(delta).toHaveLength(784);
  const shown = await norms(page);
  expect(Math.max(...delta.map(Math.abs))).toBeCloseTo(shown["L∞"], 3);
  expect(Math.hypot(...delta)).toBeCloseTo(shown.L2, 2);
  expect(delta.filter((value) => value !== 0)).toHaveLength(shown.L0);

  const trace = table((await download(page, figure(page, "Loss"), "Numbers (CSV)")).bytes);
  expect(trace).toHaveLength(8);
  const loss = trace[0].findIndex((heading) => heading.startsWith("loss"));
  const [first, last] = await losses(page);
  expect(Number(trace[1][loss])).toBeCloseTo(first, 3);
  expect(Math.max(...trace.slice(1).map((line) => Number(line[loss])))).toBeCloseTo(last, 2);

  const curve = table((await download(page, figure(page, "Class probabilities of the attacked"), "Numbers (CSV)")).bytes);
  expect(Number(curve[1][0])).toBe(0);
  expect(Number(curve.at(-1)[0])).toBeCloseTo(0.4, 5);
  for (const line of curve.slice(1)) expect(line.slice(1, 11).map(Number).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 3);

  const plane = table((await download(page, figure(page, "Decisions"), "Numbers (CSV)")).bytes);
  expect(plane.length).toBeGreaterThan(100);
});

test("the weights of a model come as a safetensors file", async ({ page }) => {
  await openLab(page);
  const { name, bytes } = await downloaded(page, () => page.getByRole("link", { name: "Weights (safetensors)" }).click());
  expect(name).toBe("fashion-standard.safetensors");
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))));
  expect(Object.keys(header).filter((key) => key !== "__metadata__").length).toBeGreaterThanOrEqual(6);
});

test("undo does not touch a text that is being typed", async ({ page }) => {
  await openLab(page);
  await setNumber(page, "ε", 0.2);
  const field = page.getByRole("textbox", { name: "ε, as a number" });
  await field.fill("0.3");
  await field.press("Control+z");
  await query(page, /eps=0\.2&/);
});
