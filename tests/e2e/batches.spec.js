// Heavy batches on the server: composed, followed, left and found again.

import { composer, line, lines, long, rows, seed, small, start, view } from "./batches.js";
import { downloaded, expect, expectAccessible, expectDrawn, settled, test } from "./lab.js";
import { fits } from "./study.js";

test("a grid over models and ε is computed, shown, and found again by its link", async ({ page }) => {
  await page.goto(small(seed()));
  await expect(composer(page)).toContainText("ε = 0.05, 0.125, 0.2");
  await expect(composer(page)).toContainText(/About [\d ]+.* gradients in \d+ chunks; 6.0 million are allowed on the server/);
  await start(page);
  await expect(line(page)).toHaveText(/^Done, on the server: (\d+) of \1 chunks/, { timeout: 60_000 });
  await expectDrawn(view(page).locator("canvas.lines"));
  const found = await rows(page);
  expect(found).toHaveLength(6);
  expect(found.map((row) => row[2])).toEqual(["0.05", "0.125", "0.2", "0.05", "0.125", "0.2"]);
  for (const [, , , pictures, before, after] of found) {
    expect(pictures).toBe("40");
    expect(Number(after)).toBeLessThanOrEqual(Number(before));
  }
  const { name, bytes } = await downloaded(page, () => view(page).getByRole("link", { name: "Download this table (CSV)" }).first().click());
  expect(name).toMatch(/^robust-accuracy-.*-0\.csv$/);
  expect(lines(bytes).slice(1).map((row) => row.slice(3, 6))).toEqual(found.map((row) => row.slice(3, 6)));
  const json = await downloaded(page, () => view(page).getByRole("link", { name: "Download all (JSON)" }).click());
  expect(JSON.parse(json.bytes).report.tables[0].rows).toHaveLength(6);

  await expect(page).toHaveURL(/batches\.id=/);
  await page.reload();
  await expect(line(page)).toHaveText(/^Done, on the server/);
  expect(await rows(page)).toEqual(found);
  await expect(page.getByRole("region", { name: "Your batches" }).getByRole("listitem").first()).toContainText("done, on the server");

  // The pictures, one by one, open in the Lab.
  await rows(page, 2);
  await view(page).getByRole("link", { name: "picture 3" }).first().click();
  await expect(page).toHaveURL(/picture=3/);
  await settled(page);
  await page.goBack();
  await expect(line(page)).toHaveText(/^Done, on the server/);
});

test("every kind of question is composed and answered", async ({ page }) => {
  test.setTimeout(120_000);
  await page.goto(`?page=batches&data=digits&attack=fgsm&eps=0.2&seed=${seed()}`);
  const kinds = composer(page).getByRole("combobox", { name: "Question" });
  for (const kind of await kinds.getByRole("option").evaluateAll((options) => options.map((option) => option.value))) {
    if (kind === "training") continue;
    await kinds.selectOption(kind);
    const pictures = composer(page).getByRole("textbox", { name: "Test pictures, as a number" });
    if (await pictures.count()) {
      await pictures.fill("10");
      await pictures.press("Enter");
    }
    await start(page);
    await expect(line(page), kind).toHaveText(/^Done, on the server: (\d+) of \1 chunks/, { timeout: 60_000 });
    await expect(view(page).getByRole("figure").first(), kind).toBeVisible();
    for (const canvas of await view(page).locator("figure canvas:visible").all()) await expectDrawn(canvas);
    expect((await rows(page)).length, kind).toBeGreaterThan(0);
  }
});

test("a network is trained, attacked in the Lab, and there again when its link is opened", async ({ page }) => {
  test.setTimeout(120_000);
  const asked = { network: "mlp", epochs: 1, batch: 32 };
  await page.goto(`?page=batches&data=digits&seed=${seed()}&batches.kind=training&batches.pictures=256&batches.more=${encodeURIComponent(JSON.stringify(asked))}`);
  await start(page);
  await expect(line(page)).toHaveText(/^Done, on the server/, { timeout: 90_000 });
  await view(page).getByRole("button", { name: "Attack it in the Lab" }).click();
  await expect(page).toHaveURL(/model=trained-/);
  await settled(page);
  await page.reload();
  await settled(page);
  await expect(page.locator(".notice")).toHaveCount(0);
  await expect(page).toHaveURL(/model=trained-/);
});

test("a batch is stopped, and what was computed stays", async ({ page }) => {
  await page.goto(long(seed()));
  await start(page);
  await expect(line(page)).toHaveText(/^Computing, on the server: .* of the work/, { timeout: 30_000 });
  await view(page).getByRole("button", { name: "Stop" }).click();
  await expect(line(page)).toHaveText(/^Stopped; what was computed stays, on the server/);
  await expect(view(page).getByRole("button", { name: "Stop" })).toBeDisabled();
});

test("two who ask the same share one batch, and one who leaves does not stop it", async ({ page, browser, baseURL }) => {
  const asked = long(seed());
  await page.goto(asked);
  await start(page);
  await expect(line(page)).toHaveText(/on the server/, { timeout: 30_000 });
  const other = await (await browser.newContext({ baseURL })).newPage();
  await other.goto(asked);
  await start(other);
  await expect(view(other)).toContainText("2 browsers want this batch", { timeout: 30_000 });
  const id = (page) => new URL(page.url()).searchParams.get("batches.id");
  await expect(page).toHaveURL(/batches\.id=/);
  await expect.poll(() => id(other)).toBe(id(page));
  await view(other).getByRole("button", { name: "Stop" }).click();
  await expect(line(other)).toHaveText(/^Left, on the server: .*Others want this batch, too/);
  await view(page).getByRole("button", { name: "Stop" }).click();
  await expect(line(page)).toHaveText(/^Stopped/);
  await other.context().close();
});

test.describe("refusals", () => {
  test.use({ complaints: /Failed to load resource/ });

  test("what is refused is said in a sentence", async ({ page }) => {
    await page.goto(`${long(seed())}&batches.models=standard,adversarial`.replace("values=1", "values=16"));
    await expect(composer(page)).toContainText(/are allowed: choose fewer pictures/);
    await start(page);
    await expect(line(page)).toHaveText(/^Not computed: this batch takes about \d+ gradients and at most \d+ are allowed/);
  });

  test("a batch that is not there is said not to be", async ({ page }) => {
    await page.goto("?page=batches&batches.id=nowhere");
    await expect(line(page)).toHaveText(/^Not computed: there is no batch of this name/);
  });

  test("the queue is shown, and a wrong key is said to be wrong", async ({ page }) => {
    await page.goto("?page=batches&batches.queue=on");
    const queue = page.locator("details.queue");
    await expect(queue.getByRole("table").first()).toContainText("Threads");
    await queue.getByLabel("Instructor’s key").fill("not the key");
    await queue.getByRole("button", { name: "Use the key" }).click();
    await expect(queue).toContainText("The server does not know this instructor’s key.");
    await expect(queue.getByLabel("Instructor’s key")).toBeVisible();
  });
});

test("axe finds nothing on the page of batches, and it fits @phone @dark @projector", async ({ page }) => {
  await page.goto(`${small(7)}&batches.queue=on`);
  await start(page);
  await expect(line(page)).toHaveText(/^Done/, { timeout: 60_000 });
  await rows(page, 1);
  await rows(page, 2);
  await expect(page.locator("details.queue table")).toBeVisible();
  await expectAccessible(page);
  expect(await fits(page)).toBe(true);
});
