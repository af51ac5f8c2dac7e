// The scene: a boundary that is known, and one that is learnt in the page.

import { downloaded, expect, expectAccessible, expectDrawn, number, pixels, test } from "./lab.js";
import { fits } from "./study.js";

/** Opens the page and waits until the network is trained and everything is about it. */
async function openGap(page) {
  await page.goto("?page=gap");
  await trained(page);
}

async function trained(page) {
  await expect(page.locator(".status-line").first()).toHaveAttribute("data-state", "done", { timeout: 45_000 });
  await expect(page.locator(".gap")).toHaveAttribute("aria-busy", "false", { timeout: 20_000 });
}

const share = async (page) => number(/takes (\S+)/.exec(await page.locator(".gap-share").innerText())[1]);
const scene = (page) => page.getByRole("application", { name: /^The square/ });

async function moveTo(page, x, y) {
  for (const [name, value] of [["x", x], ["y", y]]) {
    const field = page.getByRole("textbox", { name: `${name}, as a number`, exact: true });
    await field.fill(String(value));
    await field.press("Enter");
  }
  await expect(page.locator(".gap")).toHaveAttribute("aria-busy", "false");
}

test("a network is trained in the page, quickly, and leaves a gap", async ({ page }) => {
  await openGap(page);
  await expectDrawn(scene(page).locator("canvas"));
  const gap = await share(page);
  expect(gap).toBeGreaterThan(0);
  expect(gap).toBeLessThan(20);
  await expect(page.locator(".status-line").first()).toContainText("Trained in this page in");
});

test("more examples leave less of a gap", async ({ page }) => {
  await openGap(page);
  const before = await share(page);
  const field = page.getByRole("textbox", { name: "Examples to learn from, as a number" });
  await field.fill("600");
  await field.press("Enter");
  await expect.poll(() => share(page)).toBeLessThan(before);
  await trained(page);
  expect(await share(page)).toBeLessThan(before);
});

test("a point far from the boundary holds, one at it is moved across", async ({ page }) => {
  await openGap(page);
  await moveTo(page, 0.75, 0.95);
  await expect(page.locator(".verdict")).toContainText("Right:");
  await moveTo(page, 0.5, 0.53);
  await expect(page.locator(".verdict")).not.toContainText("Right:");
});

test("the point is dragged by mouse and moved by keys", async ({ page }) => {
  await openGap(page);
  const canvas = scene(page).locator("canvas");
  const before = await pixels(canvas);
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 0.5 * box.width, box.y + 0.5 * box.height);
  await page.mouse.down();
  await page.mouse.move(box.x + 0.7 * box.width, box.y + 0.3 * box.height, { steps: 4 });
  await page.mouse.up();
  const x = page.getByRole("textbox", { name: "x, as a number", exact: true });
  expect(Number(await x.inputValue())).toBeGreaterThan(0.5);
  await expect.poll(() => pixels(canvas)).not.toBe(before);
  const at = Number(await x.inputValue());
  await scene(page).focus();
  await page.keyboard.press("ArrowLeft");
  await expect.poll(async () => Number(await x.inputValue())).toBeCloseTo(at - 0.01, 3);
});

test("the page leads to a point in the gap", async ({ page }) => {
  await openGap(page);
  await page.getByRole("button", { name: "Go to a point in the gap" }).click();
  await expect(page.locator(".verdict")).toContainText("In the gap already");
});

test("what is seen is there to take away", async ({ page }) => {
  await openGap(page);
  await page.locator(".scene-figure summary").click();
  const { name, bytes } = await downloaded(page, () => page.getByRole("button", { name: "Numbers (CSV)" }).click());
  expect(name).toBe("gap-wave.csv");
  expect(bytes.toString().split("\n").length).toBeGreaterThan(10_000);
});

test("axe finds nothing, and nothing has to be scrolled sideways @phone @dark @projector", async ({ page }) => {
  await openGap(page);
  await page.getByLabel("Show the attack on 200 points").check();
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});
