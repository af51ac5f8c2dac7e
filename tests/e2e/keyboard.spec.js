// Everything without a mouse.

import { column, downloaded, everything, expect, openLab, query, settled, test } from "./lab.js";

/** Moves on with Tab until the focus is on what `target` finds. */
async function tabTo(page, target, most = 120) {
  for (let i = 0; i < most; i += 1) {
    await page.keyboard.press("Tab");
    if (await target.evaluate((element) => element === document.activeElement).catch(() => false)) return;
  }
  throw new Error(`Tab does not lead to ${target}`);
}

test("Tab leads to everything, in the order in which it is seen, and the focus shows", async ({ page }) => {
  await openLab(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("main")).toBeFocused();
  const reached = new Set();
  const hidden = [];
  for (let i = 0; i < 110; i += 1) {
    await page.keyboard.press("Tab");
    const [name, shown] = await page.evaluate(() => {
      const element = document.activeElement;
      const marked = element.matches("input[type=radio]") ? element.nextElementSibling : element;
      const style = getComputedStyle(marked);
      const name = element.id || element.getAttribute("aria-label") || element.textContent.trim();
      return [name, element === document.body || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)];
    });
    reached.add(name);
    if (!shown) hidden.push(name);
    if (name.startsWith("This experiment as")) break;
  }
  expect(hidden, "focused, but nothing shows it").toEqual([]);
  for (const control of ["class", "Next", "Random", "Draw or open…", "model", "compare", "epsilon", "epsilon-field", "target",
    "steps", "alpha", "restarts", "seed", "step", "Play the steps", "robust-count", "Count", "Copy as PyTorch"]) {
    expect([...reached], control).toContain(control);
  }
});

test("a whole experiment is set up by keys alone", async ({ page }) => {
  await openLab(page);
  const keys = page.keyboard;

  await tabTo(page, page.getByRole("listbox", { name: /Test pictures/ }));
  await keys.press("ArrowRight");
  await keys.press("ArrowRight");
  await query(page, /picture=2&/);

  const dataset = page.getByRole("radio", { name: "Fashion-MNIST" });
  await tabTo(page, dataset);
  await keys.press("ArrowRight");
  await query(page, /data=digits/);
  await tabTo(page, page.getByRole("combobox", { name: "Model" }));
  await keys.press("ArrowDown");
  await query(page, /model=adversarial/);
  await tabTo(page, page.getByRole("combobox", { name: "Side by side with" }));
  await keys.press("ArrowDown");
  await query(page, /compare=standard/);
  await tabTo(page, page.getByRole("radio", { name: "L∞" }));
  await keys.press("ArrowRight");
  await query(page, /norm=l2/);
  await tabTo(page, page.getByRole("slider", { name: "ε", exact: true }));
  await keys.press("PageUp");
  await settled(page);
  await tabTo(page, page.getByRole("combobox", { name: "Goal" }));
  await keys.press("ArrowDown");
  await query(page, /target=0/);
  await tabTo(page, page.getByRole("checkbox", { name: "Random start in the ball" }));
  await keys.press("Space");
  await query(page, /start=random/);
  await settled(page);
  const before = await everything(page);
  await tabTo(page, page.getByRole("slider", { name: "Seed" }));
  await keys.press("ArrowRight");
  await query(page, /seed=1/);
  await settled(page);
  expect(await everything(page)).not.toEqual(before);
  await keys.press("Control+z");
  await query(page, /seed=0/);
  await settled(page);
  expect(await everything(page)).toEqual(before);
});

test("a figure is saved by keys, and its menu closed", async ({ page }) => {
  await openLab(page);
  const summary = column(page).locator("details.figure-menu summary").first();
  await summary.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  const { name } = await downloaded(page, () => page.keyboard.press("Enter"));
  expect(name).toMatch(/\.png$/);
  await expect(summary).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(column(page).getByRole("button", { name: "Picture (PNG)" }).first()).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(column(page).getByRole("button", { name: "Picture (PNG)" }).first()).toBeHidden();
});

test("charts are read and set by keys", async ({ page }) => {
  await openLab(page);
  const curve = page.getByRole("slider", { name: /^Class probabilities of the attacked/ });
  await curve.focus();
  const said = await curve.getAttribute("aria-valuetext");
  await page.keyboard.press("End");
  await expect(curve).not.toHaveAttribute("aria-valuetext", said);
  await page.keyboard.press("Enter");
  await query(page, /eps=0\.4&/);
});

test("Escape closes the dialog and gives the focus back", async ({ page }) => {
  await openLab(page);
  const button = page.getByRole("button", { name: "Draw or open…" });
  await button.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
  await expect(button).toBeFocused();
});
