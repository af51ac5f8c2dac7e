// What keeps the page's main thread busy: functions by a CPU profile, the browser's own work by a trace.

import fs from "node:fs";
import path from "node:path";

/** Starts; `stop` writes NAME.cpuprofile and NAME.trace.json, which the browser's developer tools open, and sums up. */
export async function startProfile(browser, page, folder, name) {
  const session = await page.context().newCDPSession(page);
  await session.send("Profiler.enable");
  await session.send("Profiler.setSamplingInterval", { interval: 500 });
  await browser.startTracing(page, { categories: ["devtools.timeline", "toplevel"] });
  await session.send("Profiler.start");
  return {
    async stop() {
      const { profile } = await session.send("Profiler.stop");
      const trace = await browser.stopTracing();
      fs.writeFileSync(path.join(folder, `${name}.cpuprofile`), JSON.stringify(profile));
      fs.writeFileSync(path.join(folder, `${name}.trace.json`), trace);
      console.log(`\n${name}: functions, by time of their own`);
      print(functions(profile));
      console.log(`\n${name}: work of the main thread, by time of its own`);
      print(work(JSON.parse(trace).traceEvents));
    },
  };
}

function print(shares, count = 15) {
  const sorted = [...shares].sort((a, b) => b[1] - a[1]).slice(0, count);
  for (const [what, share] of sorted) console.log(`${(100 * share).toFixed(1).padStart(6)} %  ${what}`);
}

/** The share of each function. */
function functions({ nodes, samples, timeDeltas }) {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const file = url && path.basename(new URL(url).pathname);
      return [id, `${functionName || "(anonymous)"} ${file}${/\.m?js$/.test(file) ? `:${lineNumber + 1}` : ""}`.trim()];
    }),
  );
  const total = timeDeltas.reduce((sum, delta) => sum + delta, 0);
  return shares(samples.map((id, i) => [names.get(id), timeDeltas[i]]), total);
}

/** The share of each kind of work, without what happens within it, on the main thread of the busiest renderer. */
function work(events) {
  const mains = new Set(
    events
      .filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  const threads = groupBy(
    events.filter(({ ph, pid, tid }) => ph === "X" && mains.has(`${pid} ${tid}`)),
    ({ pid, tid }) => `${pid} ${tid}`,
  );
  const busiest = [...threads.values()].sort((a, b) => b.length - a.length)[0] ?? [];
  busiest.sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  const own = [];
  const open = [];
  for (const event of busiest) {
    const { name, ts, dur = 0, args } = event;
    while (open.length > 0 && open.at(-1).end <= ts) open.pop();
    const entry = { name: args?.data?.type ? `${name} ${args.data.type}` : name, end: ts + dur, time: dur };
    if (open.length > 0) open.at(-1).time -= dur;
    open.push(entry);
    own.push(entry);
  }
  const [first, last] = [busiest[0], busiest.at(-1)];
  const total = first ? last.ts + (last.dur ?? 0) - first.ts : 1;
  return shares(own.map(({ name, time }) => [name, time]), total);
}

function shares(times, total) {
  const sums = new Map();
  for (const [name, time] of times) sums.set(name, (sums.get(name) ?? 0) + time);
  return new Map([...sums].map(([name, time]) => [name, time / total]));
}

function groupBy(list, key) {
  const groups = new Map();
  for (const entry of list) {
    const group = groups.get(key(entry));
    if (group) group.push(entry);
    else groups.set(key(entry), [entry]);
  }
  return groups;
}
