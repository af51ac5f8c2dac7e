// Batches on the server: how fast they are computed, alone and by two workers; how soon many who follow one hear of it;
// plain files; memory. With --peers the same attack in PyTorch on the same processors.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";

import { program, root, serveLab } from "./host.mjs";
import { startPostgres } from "./postgres.mjs";
import { quantile } from "./report.mjs";

export const needsLab = false;

/** Who follow one job at the same time. */
const FOLLOWERS = 500;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Robust accuracy with PGD-40 (ε 0.1, α 0.01) on Fashion-MNIST's first test pictures; the seed makes it a new question. */
const question = (models, pictures, seed) => ({
  experiment: { seed, attack: { method: "pgd", steps: 40, alpha: 0.01 } },
  models,
  pictures,
});

export async function run({ report, options, out }) {
  const fresh = (name) => {
    const folder = path.join(out, name);
    fs.rmSync(folder, { recursive: true, force: true });
    return folder;
  };
  const lab = await serveLab(fresh("jobs"));
  try {
    await pause(2000);
    const resident = /VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${lab.pid}/status`, "utf8"));
    report.add("server.memory.idle", "epsilon-lab", Number(resident[1]) / 1024, "MB", { bar: 60 });
    await files(lab, report, options);
    await accuracy(lab, report, options);
    await followers(lab, report, options);
  } finally {
    await lab.stop();
  }
  await workers(report, options, fresh);
}

/** How long a request for a small file takes when many come. */
async function files(lab, report, options) {
  let text;
  try {
    const url = `${lab.url}index.html`;
    text = execFileSync("wrk", ["-t1", "-c32", options.quick ? "-d2s" : "-d8s", url], { encoding: "utf8" });
  } catch {
    console.error("bench: there is no wrk (apt-get install wrk), so plain files are left out");
    return;
  }
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]);
  const note = `${rate.toFixed(0)} requests/s, and wrk on the same processors`;
  report.add("server.file", "epsilon-lab", 1e6 / rate, "µs/request", { bar: 200, note });
}

/** Robust accuracy over 1,000 pictures. */
async function accuracy(lab, report, options) {
  const pictures = options.quick ? 200 : 1000;
  for (const model of ["standard", "adversarial"]) {
    const times = [];
    for (let round = 0; round < (options.quick ? 1 : 3); round++) {
      const job = await ended(lab, await submit(lab, question([model], pictures, round), key(lab)));
      times.push(job.elapsed / pictures);
    }
    const note = `${(1000 / quantile(times)).toFixed(0)} pictures/s, ${os.cpus().length} processors`;
    report.add(`accuracy.pgd40.${model}`, "epsilon-lab", quantile(times), "ms/picture", { note });
  }
  if (options.peers) {
    for (const row of torchattacks(pictures)) {
      report.add(row.name, row.contestant, row.value, row.unit, { ratioTo: "epsilon-lab" });
    }
  }
}

function torchattacks(pictures) {
  const python = process.env.PYTHON ?? "python3";
  try {
    execFileSync(python, ["-c", "import torch, torchattacks"], { stdio: "ignore" });
  } catch {
    console.error(`bench: ${python} has no PyTorch with torchattacks, so it is left out; PYTHON names another`);
    return [];
  }
  const args = [path.join(root, "benches/robust.py"), String(pictures), String(os.cpus().length)];
  const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: "1073741824", MALLOC_TRIM_THRESHOLD_: "4294967296", MALLOC_TOP_PAD_: "268435456" };
  const text = execFileSync(python, args, { cwd: root, env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return text.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

/** Many who follow one job: how long after it was written each of them has each event. */
async function followers(lab, report, options) {
  const id = await submit(lab, question(["standard", "adversarial"], options.quick ? 300 : 1000, 77), key(lab));
  const delays = [];
  let dropped = 0;
  const follow = () =>
    new Promise((resolve) => {
      let [heard, last] = [false, false];
      const end = () => {
        if (!last) dropped += 1;
        resolve();
      };
      const request = http.get(`${lab.url}api/jobs/${id}/events`, { agent: false }, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (piece) => {
          const now = Date.now();
          text += piece;
          for (let stop = text.indexOf("\n\n"); stop >= 0; stop = text.indexOf("\n\n")) {
            const event = text.slice(0, stop);
            text = text.slice(stop + 2);
            // Only the moment is read: parsing 500 reports here would be measured as well.
            const [started, elapsed] = ["started", "elapsed"].map((name) => new RegExp(`"${name}":(\\d+)`).exec(event));
            // The first event is as old as the news that was there before the client.
            if (heard && started && elapsed) delays.push(now - Number(started[1]) - Number(elapsed[1]));
            heard = true;
            if (event.includes("event: end")) last = true;
          }
        });
        answer.on("end", end);
        answer.on("error", end);
      });
      request.on("error", end);
    });
  await Promise.all(Array.from({ length: FOLLOWERS }, follow));
  const note = `${delays.length} events to ${FOLLOWERS} clients, while all processors compute`;
  report.add("events.delay.p50", "epsilon-lab", quantile(delays), "ms", { note });
  report.add("events.delay.p99", "epsilon-lab", quantile(delays, 0.99), "ms", { bar: 250, note });
  report.add("events.clients.dropped", "epsilon-lab", dropped, "clients", { bar: 0 });
}

/** Two worker processes beside one, each with one thread, on a Postgres of this part's own. */
async function workers(report, options, fresh) {
  const postgres = await startPostgres().catch((error) => {
    console.error(`bench: ${error.message}, so two workers are left out`);
    return null;
  });
  if (!postgres) return;
  const lab = await serveLab(fresh("workers"), ["--store", postgres.address, "--threads", "0"]);
  const running = [];
  const start = () => {
    const args = ["worker", "--store", postgres.address, "--threads", "1", "--assets", "assets"];
    running.push(spawn(program, args, { cwd: root, stdio: "ignore" }));
    return pause(1500);
  };
  try {
    const pictures = options.quick ? 300 : 1000;
    const times = {};
    for (const [count, seeds] of [[1, [101, 102, 103]], [2, [201, 202, 203]]]) {
      await start();
      const rounds = [];
      for (const seed of options.quick ? seeds.slice(0, 1) : seeds) {
        const id = await submit(lab, question(["standard", "adversarial"], pictures, seed), key(lab));
        rounds.push((await ended(lab, id)).elapsed);
      }
      times[count] = quantile(rounds);
    }
    report.add("workers.one", "epsilon-lab", times[1], "ms");
    const note = `${(times[1] / times[2]).toFixed(2)} times as fast, ${os.cpus().length} processors`;
    report.add("workers.two", "epsilon-lab", times[2], "ms", { bar: times[1] / 1.8, note });
  } finally {
    running.forEach((worker) => worker.kill("SIGTERM"));
    await lab.stop();
    postgres.stop();
  }
}

/** The instructor's key of a server. */
const keys = new Map();
function key(lab) {
  if (!keys.has(lab.url)) {
    const folder = fs.readFileSync(`/proc/${lab.pid}/cmdline`, "utf8").split("\0");
    keys.set(lab.url, fs.readFileSync(path.join(folder[folder.indexOf("--data-dir") + 1], "instructor-key"), "utf8"));
  }
  return keys.get(lab.url);
}

async function submit(lab, asked, bearer, tries = 1) {
  const answer = await fetch(`${lab.url}api/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` },
    body: JSON.stringify({ kind: "robust-accuracy", question: asked }),
  }).catch((error) => {
    // The server may just have closed a connection that had been idle.
    if (tries === 0) throw error;
  });
  if (!answer) return submit(lab, asked, bearer, tries - 1);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body.id;
}

async function ended(lab, id) {
  for (;;) {
    const job = await (await fetch(`${lab.url}api/jobs/${id}`)).json();
    if (job.state === "done") return job;
    if (job.state === "failed") throw new Error(JSON.stringify(job.errors));
    await pause(200);
  }
}
