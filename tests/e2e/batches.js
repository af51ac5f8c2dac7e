// What the tests of batches use.

import { expect } from "./lab.js";

export const view = (page) => page.locator("section.batch");
export const line = (page) => view(page).locator(".batch-line");
export const composer = (page) => page.getByRole("region", { name: "Compose a batch" });
export const start = (page) => composer(page).getByRole("button", { name: "Start the batch" }).click();

/** A small grid over two models, different for each `seed`: what was asked before is answered from the store. */
export const small = (seed) =>
  `?page=batches&data=digits&attack=fgsm&eps=0.2&seed=${seed}&batches.models=standard,adversarial&batches.from=0.05&batches.values=3&batches.pictures=40`;

/** A batch that takes its time. */
export const long = (seed) =>
  `?page=batches&data=digits&attack=pgd&steps=100&start=random&restarts=10&eps=0.02&seed=${seed}&batches.values=1&batches.pictures=300`;

export const seed = () => Math.floor(Math.random() * 4e9);

/** The rows of a table of the batch as texts. */
export async function rows(page, place = 0) {
  const table = view(page).locator("details.batch-table").nth(place);
  if ((await table.getAttribute("open")) === null) await table.locator("summary").click();
  await expect(table.locator("tbody tr").first()).toBeVisible();
  return table.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
}

/** The rows of a CSV file without quotes. */
export const lines = (bytes) => bytes.toString().trimEnd().split(/\r?\n/).map((line) => line.split(","));
