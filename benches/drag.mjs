// ε dragged with the mouse: does the page stutter, and how soon does the picture follow?

import { openLab } from "./host.mjs";
import { startProfile } from "./profile.mjs";
import { quantile } from "./report.mjs";

export const needsLab = true;

const LAB = "epsilon-lab";
/** Movements come as often as a screen shows them. */
const INTERVAL = 1000 / 60;
/** From one end of the slider to the other. */
const SWEEP = 2500;

const attacks = [
  { name: "fgsm", query: "?attack=fgsm", bar: 50 },
  { name: "pgd20", query: "?attack=pgd&steps=20", bar: 120 },
];

export async function run({ lab, browser, report, options, out }) {
  for (const { name, query, bar } of attacks) {
    const { context, page } = await openLab(browser, lab.url + query);
    await page.waitForSelector(".column[aria-busy=false]");
    await page.waitForTimeout(1000);
    const profile = options.profile ? await startProfile(browser, page, out, `drag-${name}`) : null;
    const seconds = options.quick ? 3 : 10;
    const seen = await dragEpsilon(page, seconds * 1000);
    await profile?.stop();
    await context.close();

    const asked = seen.inputs.filter((input) => input.id !== null);
    if (asked.length < seconds) {
      throw new Error(`only ${asked.length} movements of the slider led to a request to the engine (see benches/observe.js)`);
    }
    // The picture of that very ε, where it was shown; the page drops what is out of date.
    const own = new Map(seen.repaints.map(({ id, at }) => [id, at]));
    const exact = asked.filter(({ id }) => own.has(id)).map(({ id, at }) => own.get(id) - at);
    // For every movement, the picture of its ε or of a newer one.
    const anyway = asked.map(({ id, at }) => seen.repaints.find((repaint) => repaint.id >= id)?.at - at);
    const put = (what, value, unit, more) => report.add(`drag.${name}.${what}`, LAB, value, unit, more);
    put("long_tasks", seen.longTasks.length, "tasks", { bar: 0 });
    put("longest_task", Math.max(0, ...seen.longTasks), "ms");
    put("repaint.median", quantile(exact), "ms", { bar });
    put("repaint.p95", quantile(exact, 0.95), "ms");
    put("repaint_or_newer.median", quantile(anyway.filter(Number.isFinite)), "ms");
    put("repaint_or_newer.p95", quantile(anyway.filter(Number.isFinite), 0.95), "ms");
    put("inputs", asked.length / seconds, "per second");
    put("repaints", seen.repaints.length / seconds, "per second");
  }
}

/** Moves the slider to and fro, and reports what was observed from pressing the button to letting it go. */
async function dragEpsilon(page, duration) {
  const slider = page.locator("#epsilon");
  await slider.scrollIntoViewIfNeeded();
  const pictures = await page.locator(".equation canvas.pixels").last().boundingBox();
  const box = await slider.boundingBox();
  const { height } = page.viewportSize();
  if (!pictures || pictures.y + pictures.height < 0 || pictures.y > height) {
    throw new Error("slider and picture are not on screen together");
  }
  const margin = box.height / 2;
  const y = box.y + box.height / 2;
  const from = box.x + margin;
  const width = box.width - 2 * margin;
  // A triangular wave.
  const at = (time) => from + width * (1 - Math.abs(((time / SWEEP) % 2) - 1));

  await page.mouse.move(at(0), y);
  await page.evaluate(() => globalThis.observed.watch());
  await page.mouse.down();
  const start = performance.now();
  for (let tick = 1; ; tick++) {
    const wait = start + tick * INTERVAL - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // Behind, as on a busy machine: go on with the present.
    else tick = Math.floor((performance.now() - start) / INTERVAL);
    const time = performance.now() - start;
    if (time > duration) break;
    await page.mouse.move(at(time), y);
  }
  await page.mouse.up();
  const seen = await page.evaluate(() => globalThis.observed.seen());
  // The last answers are still under way.
  await page.waitForTimeout(500);
  const later = await page.evaluate(() => globalThis.observed.seen());
  return { ...later, longTasks: seen.longTasks };
}
