// End-to-end tests: the real server with the built client, in a real browser.
//
//   npx playwright test --project desktop        one project
//   npx playwright test --grep "copies a link"   one test
//
// EPSILON_LAB names the server's program, CHROMIUM the browser. `make test` builds and sets everything.

import net from "node:net";
import os from "node:os";
import path from "node:path";
import { defineConfig } from "@playwright/test";

/** A free port, the same for all processes of this run: they inherit the environment of the first. */
async function port(name) {
  process.env[name] ??= await new Promise((resolve, reject) => {
    const probe = net.createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(String(port)));
    });
  });
  return process.env[name];
}

const served = `http://127.0.0.1:${await port("EPSILON_LAB_TEST_PORT")}/`;
// Any static host will do, so one that knows nothing serves dist/ from a folder of its own.
const hosted = `http://127.0.0.1:${await port("EPSILON_LAB_STATIC_PORT")}/a/folder/`;
const program = process.env.EPSILON_LAB ?? "../../target/debug/epsilon-lab";
const data = path.join(os.tmpdir(), `epsilon-lab-test-${process.env.EPSILON_LAB_TEST_PORT}`);

export default defineConfig({
  testDir: ".",
  outputDir: "test-results/files",
  forbidOnly: !!process.env.CI,
  fullyParallel: true,
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"], ["json", { outputFile: "test-results/report.json" }]],
  use: {
    baseURL: served,
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
      ],
    },
  },
  // Every test runs on the desktop, in light colours. Those marked @phone, @dark or @projector run there as well; those
  // in *.static.spec.js run on the host that is no server of ours.
  projects: [
    { name: "desktop", use: { viewport: { width: 1280, height: 800 }, colorScheme: "light" }, testIgnore: "*.static.spec.js" },
    {
      name: "phone",
      grep: /@phone/,
      testIgnore: "*.static.spec.js",
      use: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
    },
    {
      name: "dark",
      grep: /@dark/,
      testIgnore: "*.static.spec.js",
      use: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
    },
    {
      name: "projector",
      grep: /@projector/,
      testIgnore: "*.static.spec.js",
      use: {
        viewport: { width: 1280, height: 800 },
        colorScheme: "light",
        storageState: {
          cookies: [],
          origins: [{ origin: new URL(served).origin, localStorage: [{ name: "epsilon-lab.theme", value: "projector" }] }],
        },
      },
    },
    { name: "static", testMatch: "*.static.spec.js", use: { baseURL: hosted } },
  ],
  webServer: [
    {
      command: `"${program}" serve --bind 127.0.0.1 --port ${process.env.EPSILON_LAB_TEST_PORT} --dist ../../dist --data-dir "${data}"`,
      url: served,
      stdout: "ignore",
      stderr: "ignore",
      gracefulShutdown: { signal: "SIGTERM", timeout: 5000 },
    },
    { command: `node static-host.js ../../dist ${process.env.EPSILON_LAB_STATIC_PORT} /a/folder/`, url: hosted },
  ],
});
