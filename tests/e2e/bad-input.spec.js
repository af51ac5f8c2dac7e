// What cannot be used is answered by a sentence, and nothing is lost.

import { column, everything, expect, expectAccessible, fact, openLab, query, settled, test, verdict } from "./lab.js";

for (const bad of ["eps=NaN", "eps=-1", "eps=1e9", "eps=", "steps=0", "picture=999999", "picture=-1", "model=none", "norm=l7",
  "own=%25%25", "own=AAAA", "wat=1", "plane=4", "page=nowhere", "target=10", "seed=1e400"]) {
  test(`a link with ${bad} opens, and says what it left out`, async ({ page }) => {
    await openLab(page, `?data=digits&compare=adversarial&${bad}`);
    const notice = page.locator(".notice");
    await expect(notice).toHaveCount(1);
    await expect(notice).toContainText(`“${bad.split("=")[0]}” was not used: `);
    await expect(notice).toHaveText(/\.×?$/);
    expect(await verdict(page)).toMatch(/“\d” \(/);
    await expect(column(page, 1)).toBeVisible();
    await expect(page.getByRole("radio", { name: "Digits" })).toBeChecked();
    await notice.getByRole("button", { name: "Dismiss" }).click();
    await expect(notice).toHaveCount(0);
  });
}

test("a link that is all wrong still opens the Lab", async ({ page }) => {
  await openLab(page, "?data=cats&norm=l7&eps=%00&picture=%F0%9F%90%BC&=&&a&model=%22%3E%3Cscript%3E");
  await expect(page.locator(".notice").first()).toBeVisible();
  expect(await verdict(page)).not.toBe("");
  await expectAccessible(page);
});

for (const [typed, sentence] of [["NaN", /out of range|not a number/], ["-1", /out of range/], ["1e9", /out of range/], ["a lot", /not a number/],
  ["", /not a number/], ["1/0", /out of range|not a number/]]) {
  test(`ε = “${typed}” is answered by a sentence, and the picture stays`, async ({ page }) => {
    await openLab(page, "?data=digits&picture=3&eps=0.15");
    const before = await everything(page);
    const field = page.getByRole("textbox", { name: "ε, as a number" });
    await field.fill(typed);
    await field.press("Enter");
    await field.blur();
    await expect(page.locator("#epsilon-problem")).toHaveText(sentence);
    await expect(field).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByRole("slider", { name: "ε", exact: true })).toHaveValue("0.15");
    await expect(page.getByRole("button", { name: "Undo" })).toBeDisabled();
    expect((await everything(page))[0]).toBe(before[0]);
    await field.fill("0.2");
    await field.press("Enter");
    await settled(page);
    await expect(page.locator("#epsilon-problem")).toBeEmpty();
    await query(page, /eps=0\.2&/);
  });
}

test("steps, α, restarts and seed out of range are answered likewise", async ({ page }) => {
  await openLab(page, "?data=digits");
  for (const [name, id, typed] of [["Steps T", "steps", "101"], ["Steps T", "steps", "-3"], ["Step size α", "alpha", "0"],
    ["Step size α", "alpha", "1e30"], ["Restarts", "restarts", "999"], ["Seed", "seed", "-1"], ["Seed", "seed", "1e12"]]) {
    const field = page.getByRole("textbox", { name: `${name}, as a number` });
    await field.fill(typed);
    await field.press("Enter");
    await expect(page.locator(`#${id}-problem`), `${name} = ${typed}`).not.toBeEmpty();
    const good = id === "alpha" ? "0.1" : "1";
    await field.fill(good);
    await field.press("Enter");
    await expect(page.locator(`#${id}-problem`), `${name} = ${good}`).toBeEmpty();
  }
  await settled(page);
  expect(await fact(page, "Gradients used")).toBe("1");
});
