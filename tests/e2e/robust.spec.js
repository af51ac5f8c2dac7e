// Robust accuracy over many pictures, counted by the server.

import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { expect, openLab, pick, served, test } from "./lab.js";
import { count, counts, panel, report } from "./robust.js";

test("the server counts, class by class, and says how far it is", async ({ page }) => {
  await openLab(page, "?data=digits&attack=fgsm&eps=0.1");
  await count(page);
  await expect(report(page)).toHaveText(/Done, on the server: 100 of 100 pictures/, { timeout: 60_000 });
  const { clean, robust, classes } = await counts(page);
  expect(clean).toBeGreaterThanOrEqual(robust);
  expect(classes).toHaveLength(10);
  const sum = (column) => classes.reduce((all, row) => all + Number(/^(\d+) of/.exec(row[column])[1]), 0);
  expect(sum(1)).toBe(clean);
  expect(sum(2)).toBe(robust);
  await expect(panel(page).getByRole("progressbar")).toHaveAttribute("value", "100");
});

test("the counts come bit by bit, and stopping keeps them", async ({ page }) => {
  await openLab(page, "?data=digits&attack=pgd&steps=100&restarts=10&start=random&eps=0.1");
  await pick(page, "Test pictures", { index: -1 + (await panel(page).getByRole("option").count()) });
  await count(page);
  const bar = panel(page).getByRole("progressbar");
  await expect.poll(async () => Number(await bar.getAttribute("value")), { timeout: 60_000 }).toBeGreaterThan(0);
  await panel(page).getByRole("button", { name: "Stop" }).click();
  await expect(report(page)).toHaveText(/Stopped; what was computed stays.*: \d+ of \d+ pictures/);
  const stopped = Number(await bar.getAttribute("value"));
  expect(stopped).toBeGreaterThan(0);
  expect(stopped).toBeLessThan(Number(await bar.getAttribute("max")));
  await expect(panel(page).getByRole("button", { name: "Count", exact: true })).toBeEnabled();
});

test("what is counted has a page of its own", async ({ page }) => {
  await openLab(page, "?data=digits&attack=fgsm&eps=0.1&seed=5");
  await count(page);
  await expect(report(page)).toHaveText(/Done, on the server/, { timeout: 60_000 });
  const { robust } = await counts(page);
  await panel(page).getByRole("link", { name: /All of this batch/ }).click();
  await expect(page).toHaveURL(/page=batches.*batches\.id=/);
  await expect(page.locator("section.batch")).toContainText(`${robust.toFixed(1)} % at ε = 0.1`);
});

test("the Lab stays alive while the server counts, and says what is counted", async ({ page }) => {
  // A little ε, so that few pictures are done early.
  await openLab(page, "?data=digits&attack=pgd&steps=100&start=random&restarts=20&eps=0.01");
  await count(page);
  await page.getByRole("button", { name: "Next", exact: true }).click();
  await expect(page).toHaveURL(/picture=1/);
  await expect(panel(page)).toContainText("PGD-100, L∞ ≤ 0.01");
  await panel(page).getByRole("button", { name: "Stop" }).click();
  await expect(report(page)).toHaveText(/Stopped/);
});

test.describe("a server that goes away", () => {
  test.use({ complaints: /Failed to load resource|net::ERR/ });

  test("the page says so, computes it itself when asked, and comes to the same", async ({ page }) => {
    test.setTimeout(180_000);
    // Long enough that a server can go away before all is counted.
    const question = "?data=digits&attack=pgd&steps=100&start=random&restarts=5&eps=0.02";
    await openLab(page, question);
    await count(page);
    await expect(report(page)).toHaveText(/Done, on the server/, { timeout: 90_000 });
    const whole = await counts(page);

    const own = await startServer();
    try {
      await page.goto(own.url + question);
      await expect(panel(page)).toBeVisible();
      // As soon as the first counts are here.
      const some = page.waitForFunction(() => document.querySelector(".report progress")?.value > 0, undefined, { polling: 5 });
      await count(page);
      await some;
      own.process.kill("SIGKILL");
      await expect(panel(page)).toContainText("The connection to the server is lost; trying again.", { timeout: 30_000 });
      expect(Number(await panel(page).getByRole("progressbar").getAttribute("value"))).toBeGreaterThan(0);
      await panel(page).getByRole("button", { name: "Compute it in this page instead" }).click();
      await expect(panel(page)).toContainText("The server was lost");
      await expect(report(page)).toHaveText(/Done, in this page, in .*: 100 of 100 pictures/, { timeout: 90_000 });
      expect(await counts(page)).toEqual(whole);
    } finally {
      own.process.kill("SIGKILL");
      fs.rmSync(own.data, { recursive: true, force: true });
    }
  });

  test("a batch goes on where it was when the server comes back", async ({ page }) => {
    test.setTimeout(120_000);
    const own = await startServer();
    let again;
    try {
      await page.goto(`${own.url}?data=digits&attack=pgd&steps=100&start=random&restarts=5&eps=0.02&seed=3`);
      const some = page.waitForFunction(() => document.querySelector(".report progress")?.value > 0, undefined, { polling: 5 });
      await count(page);
      await some;
      own.process.kill("SIGKILL");
      await expect(panel(page)).toContainText("The connection to the server is lost", { timeout: 30_000 });
      again = await startServer(own);
      await expect(report(page)).toHaveText(/Done, on the server: 100 of 100 pictures/, { timeout: 90_000 });
      await expect(panel(page)).not.toContainText("is lost");
    } finally {
      own.process.kill("SIGKILL");
      again?.process.kill("SIGKILL");
      fs.rmSync(own.data, { recursive: true, force: true });
    }
  });
});

/** A server of its own, which may be killed, and started again where it was. */
async function startServer(before) {
  const port = before?.port ?? await new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
  const data = before?.data ?? fs.mkdtempSync(path.join(os.tmpdir(), "epsilon-lab-test-"));
  const program = process.env.EPSILON_LAB ?? "../../target/debug/epsilon-lab";
  const options = ["serve", "--bind", "127.0.0.1", "--port", String(port), "--dist", "../../dist", "--data-dir", data];
  const child = spawn(program, options, { stdio: "ignore", cwd: import.meta.dirname });
  const url = served.replace(/:\d+\//, `:${port}/`);
  await expect.poll(() => fetch(url).then((response) => response.ok, () => false), { timeout: 20_000 }).toBe(true);
  return { process: child, url, data, port };
}
