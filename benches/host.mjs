// The real server with the built page, and the browser.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
/** Where builds go. */
export const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");

/** Playwright, as the end-to-end tests have it. */
const { chromium } = createRequire(path.join(root, "tests/e2e/package.json"))("@playwright/test");

/** Starts the browser, without a window and without whatever it does on its own. */
export function openBrowser() {
  const executablePath = process.env.CHROMIUM ?? found(["chromium", "chromium-browser", "google-chrome"]);
  return chromium.launch({
    executablePath,
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
  });
}

function found(names) {
  for (const name of names) {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {
      // The next one.
    }
  }
  throw new Error("there is no Chromium: `.ci/setup tests` installs one, or name it in CHROMIUM");
}

/** Where the server's program is. */
export const program = path.resolve(root, process.env.EPSILON_LAB ?? path.join(target, "release/epsilon-lab"));

/** Starts the server on a free port, with `more` arguments. */
export async function serveLab(data, more = []) {
  const dist = path.resolve(root, process.env.DIST ?? "dist");
  for (const [file, what] of [[program, "server"], [path.join(dist, "index.html.br"), "packed page"]]) {
    if (!fs.existsSync(file)) throw new Error(`there is no ${what} (${file}): \`make dist\` builds it`);
  }
  const port = await freePort();
  const args = ["serve", "--bind", "127.0.0.1", "--port", String(port), "--dist", dist, "--data-dir", data, ...more];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, RUST_LOG: "warn" } });
  let complaints = "";
  child.stderr.on("data", (text) => (complaints += text));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  // However this ends, the server does not stay behind.
  process.on("exit", () => child.kill("SIGTERM"));
  const url = `http://127.0.0.1:${port}/`;
  for (const start = Date.now(); ; ) {
    if (child.exitCode !== null) throw new Error(`the server did not start: ${complaints}`);
    if (await fetch(url).then((answer) => answer.ok, () => false)) break;
    if (Date.now() - start > 15_000) throw new Error(`the server does not answer: ${complaints}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    pid: child.pid,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const observer = fs.readFileSync(path.join(root, "benches/observe.js"), "utf8");

/**
 * Opens the Lab in a context of its own: nothing is in its caches. `observe.js` watches from the start. With `cores` the
 * page is told that the device has so many.
 */
export async function openLab(browser, url, { onRequest = () => {}, cores = null } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  const page = await context.newPage();
  let failed = "";
  page.on("pageerror", (error) => (failed ||= error.message));
  context.on("request", onRequest);
  await page.addInitScript(observer);
  if (cores) {
    const tell = (cores) => Object.defineProperty(Navigator.prototype, "hardwareConcurrency", { get: () => cores });
    await page.addInitScript(tell, cores);
  }
  await page.goto(url, { waitUntil: "commit" });
  try {
    await page.waitForFunction(() => globalThis.observed.first !== null, null, { timeout: 60_000, polling: 100 });
  } catch {
    throw new Error(`no attack was drawn within a minute${failed && `; the page says: ${failed}`} (see benches/observe.js)`);
  }
  return { context, page };
}
