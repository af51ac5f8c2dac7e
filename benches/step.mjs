// The input-gradient step (forward, and gradient of the cross-entropy with respect to the input) of the CNN that is
// shipped, in the browser, on one thread: the engine against other libraries. Same weights, same pictures.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";

import { root } from "./host.mjs";
import { digits } from "./report.mjs";

export const needsLab = false;

/** One file each in step/contestants; the first is ours, the second what it is compared with. */
const always = ["epsilon-lab", "tfjs-wasm", "candle-wasm", "epsilon-lab-relaxed"];
const peers = ["tfjs-cpu", "onnxruntime-wasm"];

export async function run({ browser, report, options, out }) {
  execFileSync(path.join(root, "benches/build"), { stdio: ["ignore", "inherit", "inherit"] });
  const server = await serveFiles({
    "/engine/": path.join(out, "engine"),
    "/candle/": path.join(out, "candle"),
    "/relaxed/": path.join(out, "relaxed"),
    "/modules/": path.join(root, "benches/node_modules"),
    "/assets/": path.join(root, "assets"),
    "/reference/": path.join(root, "tests/reference"),
    "/": path.join(root, "benches/step"),
  });
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    page.on("console", (message) => message.type() === "error" && console.error(`bench: ${message.text()}`));
    await page.goto(`${server.url}page.html`);
    await page.waitForFunction(() => globalThis.bench !== undefined);
    const names = [...always, ...(options.peers ? peers : [])];
    for (const name of names) await page.evaluate((name) => globalThis.bench.enter(name), name);

    const rounds = options.quick ? 3 : 31;
    const milliseconds = options.quick ? 5 : 20;
    for (const kind of options.peers ? ["step", "forward"] : ["step"]) {
      const errors = await page.evaluate((kind) => globalThis.bench.errors(kind), kind);
      for (const batch of [1, 32, 256]) {
        const settings = { kind, batch, rounds, milliseconds };
        const medians = await page.evaluate((settings) => globalThis.bench.medians(settings), settings);
        for (const [name, median] of Object.entries(medians)) {
          const ratioTo = name === always[0] ? always[1] : always[0];
          report.add(`${kind}.batch${batch}`, name, median, "ms", { ratioTo, note: judged(errors[name]) });
        }
      }
      for (const [name, { error }] of Object.entries(errors)) report.add(`${kind}.error`, name, error, "relative");
    }
    const large = await page.evaluate((rounds) => globalThis.bench.efficientnet(rounds), Math.min(rounds, 9));
    report.add("efficientnet.forward", always[0], large.forward, "ms");
    report.add("efficientnet.step", always[0], large.step, "ms");
    report.add("efficientnet.step_in_forwards", always[0], large.step / large.forward, "forwards");
  } finally {
    await context.close();
    server.close();
  }
}

/** A time says little about a wrong result. */
function judged({ error, cosine }) {
  const what = `relative error ${digits(error)}`;
  return error < 1e-3 ? what : `WRONG: ${what}, cosine ${digits(cosine)}`;
}

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".png": "image/png",
  ".wasm": "application/wasm",
};

/** Serves folders under prefixes; the first prefix that fits counts. */
async function serveFiles(folders) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const prefix = Object.keys(folders).find((prefix) => pathname.startsWith(prefix));
    const file = path.join(folders[prefix], path.normalize(`/${pathname.slice(prefix.length)}`));
    fs.readFile(file, (error, content) => {
      if (error) return response.writeHead(404).end();
      response.writeHead(200, { "content-type": types[path.extname(file)] ?? "application/octet-stream" }).end(content);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
