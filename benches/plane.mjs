// The decision boundary on two cores: how soon its first, coarse picture comes, and how soon the finest.

import { openLab } from "./host.mjs";
import { quantile } from "./report.mjs";

export const needsLab = true;

const LAB = "epsilon-lab";

const models = [
  { name: "plane", model: "standard", bars: { coarse: 30, finest: 400 } },
  { name: "plane.residual", model: "residual", bars: {} },
  { name: "plane.mlp", model: "mlp", bars: {} },
];

/** From asking the engine to the message that brings the answer; what is drawn of it is part of `drag`. */
export async function run({ lab, browser, report, options }) {
  for (const { name, model, bars } of models) {
    const { context, page } = await openLab(browser, `${lab.url}?attack=fgsm&model=${model}`, { cores: 2 });
    await page.waitForSelector(".column[aria-busy=false]");
    const epsilon = page.getByRole("textbox", { name: "ε, as a number", exact: true });
    const times = { coarse: [], finest: [] };
    const rounds = options.quick ? 5 : 31;
    for (let round = 0; round < rounds; round++) {
      await page.evaluate(() => globalThis.observed.planes.clear());
      await epsilon.fill(String((50 + round) / 1000));
      await epsilon.press("Enter");
      const finished = () => [...globalThis.observed.planes.values()].some(({ finest }) => finest);
      await page.waitForFunction(finished, null, { polling: 20 });
      const [{ asked, coarse, finest }] = await page.evaluate(() => [...globalThis.observed.planes.values()]);
      times.coarse.push(coarse - asked);
      times.finest.push(finest - asked);
      // What is drawn late is not to be part of the next round.
      await page.waitForTimeout(100);
    }
    await context.close();
    for (const [what, values] of Object.entries(times)) {
      report.add(`${name}.${what}`, LAB, quantile(values), "ms", { bar: bars[what] ?? null });
    }
  }
}
