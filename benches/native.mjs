// The engine without a browser: `cargo bench --bench native`, and with --peers PyTorch on the same threads.

import { execFileSync } from "node:child_process";
import path from "node:path";

import { root } from "./host.mjs";

export const needsLab = false;

const inherit = ["ignore", "pipe", "inherit"];

export async function run({ report, options }) {
  const quick = options.quick ? ["--quick"] : [];
  const rows = lines("cargo", ["bench", "--quiet", "--locked", "--bench", "native", "--", ...quick]);
  if (options.peers) rows.push(...pytorch(quick));
  for (const { name, contestant, value, unit } of rows) {
    report.add(name, contestant, value, unit, { ratioTo: contestant === "epsilon-lab" ? "candle" : "epsilon-lab" });
  }
}

function pytorch(quick) {
  const python = process.env.PYTHON ?? "python3";
  try {
    execFileSync(python, ["-c", "import torch"], { stdio: "ignore" });
  } catch {
    console.error(`bench: ${python} has no PyTorch, so it is left out; PYTHON names another`);
    return [];
  }
  // Large blocks stay with the process: otherwise PyTorch spends a quarter of its time on getting memory.
  const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: "1073741824", MALLOC_TRIM_THRESHOLD_: "4294967296", MALLOC_TOP_PAD_: "268435456" };
  return lines(python, [path.join(root, "benches/native.py"), ...quick], env);
}

function lines(program, args, env = process.env) {
  const text = execFileSync(program, args, { cwd: root, env, stdio: inherit, encoding: "utf8" });
  return text.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}
