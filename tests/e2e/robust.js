// The panel that counts.

export const panel = (page) => page.getByRole("region", { name: "Robust accuracy" });
export const report = (page) => panel(page).locator(".batch-line");
export const count = (page) => panel(page).getByRole("button", { name: "Count" }).click();

/** What was counted: right before the attack and after it, and the rows of the table by class. */
export async function counts(page) {
  const of = async (place) => parseFloat(await panel(page).locator(".result strong").nth(place).innerText());
  const classes = await panel(page).locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
  return { clean: await of(0), robust: await of(1), classes };
}
