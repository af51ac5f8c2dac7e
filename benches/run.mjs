// Measures what the Lab promises: sizes, the first attack, the drag of a slider, the decision boundary, the step.
//
//   node benches/run.mjs                       everything; `make bench` builds what is needed first
//   node benches/run.mjs --peers               with more libraries beside the engine
//   node benches/run.mjs --only drag,step      some parts: opening, drag, plane, step, native, jobs
//   node benches/run.mjs --quick               few rounds: to see that it works, not what it costs
//   node benches/run.mjs --profile             says which functions of the page a drag keeps busy
//
// EPSILON_LAB names the server's program, DIST the built page, CHROMIUM the browser. A bar that is missed is said, and
// is no failure: this measures. To add a part, write a module with `run(context)`, which reports rows, and add it below.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import * as drag from "./drag.mjs";
import { openBrowser, root, serveLab, target } from "./host.mjs";
import * as jobs from "./jobs.mjs";
import * as native from "./native.mjs";
import * as opening from "./opening.mjs";
import * as plane from "./plane.mjs";
import { Report } from "./report.mjs";
import * as step from "./step.mjs";

const parts = { opening, drag, plane, step, native, jobs };

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(parts).join() },
    peers: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});
const wanted = options.only.split(",");
const unknown = wanted.filter((name) => !parts[name]);
if (unknown.length > 0) {
  console.error(`bench: there is no part “${unknown}”: choose from ${Object.keys(parts)}`);
  process.exit(2);
}

const out = path.join(target, "bench");
fs.mkdirSync(out, { recursive: true });
const lab = wanted.some((name) => parts[name].needsLab) ? await serveLab(path.join(out, "data")) : null;
const browser = await openBrowser();
const report = new Report();
const load = () => os.loadavg()[0];
const before = load();
try {
  console.log(`Chromium ${browser.version()}, ${os.cpus().length} × ${os.cpus()[0]?.model ?? "processor"}`);
  for (const name of wanted) {
    console.error(`bench: ${name} …`);
    await parts[name].run({ lab, browser, report, options, out });
  }
} finally {
  await browser.close();
  await lab?.stop();
}

const json = path.join(target, "bench.json");
report.write(json);
report.print();
// The bench itself keeps one or two processors busy, so only what was there before it began says something.
if (before > 0.5) {
  console.log(`The machine was busy before this began (load ${before.toFixed(1)}): times are not to be trusted.`);
}
if (options.quick) console.log("Few rounds (--quick): times are not to be trusted.");
console.log(`Also in ${path.relative(root, json)}.`);
