// From an empty cache to the first attack on screen: how many bytes, how long.

import { openLab } from "./host.mjs";
import { quantile } from "./report.mjs";

export const needsLab = true;

const LAB = "epsilon-lab";

export async function run({ lab, browser, report, options }) {
  const bytes = await measureBytes(browser, lab.url);
  report.add("bytes.page", LAB, bytes.page, "bytes", { bar: 300_000 });
  report.add("bytes.first_attack", LAB, bytes.all, "bytes", { bar: 1_200_000 });

  const times = [];
  for (let round = 0; round < (options.quick ? 2 : 9); round++) {
    const { context, page } = await openLab(browser, lab.url);
    times.push(await page.evaluate(() => globalThis.observed.first));
    await context.close();
  }
  report.add("open.first_attack.median", LAB, quantile(times), "ms", { bar: 2000 });
  report.add("open.first_attack.slowest", LAB, Math.max(...times), "ms");
}

/**
 * The bodies of all responses, as they came over the wire, whose requests had begun when the first attack was drawn.
 * The page alone is what is neither the engine nor data nor weights.
 */
async function measureBytes(browser, url) {
  const requests = [];
  const { context, page } = await openLab(browser, url, { onRequest: (request) => requests.push(request) });
  const drawn = await page.evaluate(() => performance.timeOrigin + globalThis.observed.first);
  const bytes = { page: 0, all: 0 };
  const table = [];
  for (const request of requests) {
    const address = new URL(request.url());
    if (!address.protocol.startsWith("http")) continue;
    const response = await request.response();
    await response.finished();
    if (request.timing().startTime > drawn) continue;
    const size = await bodySize(request, response);
    if (size === null) continue;
    const own = !/^\/(engine-|assets\/)/.test(address.pathname);
    bytes.all += size;
    if (own) bytes.page += size;
    table.push({ path: address.pathname, encoding: response.headers()["content-encoding"] ?? "", size });
  }
  for (const { path, encoding, size } of table) console.log(`${String(size).padStart(9)}  ${encoding.padEnd(3)} ${path}`);
  await context.close();
  return bytes;
}

/** Bytes over the wire; nothing for what came out of the browser's cache, where a worker finds what the page fetched. */
async function bodySize(request, response) {
  const { responseBodySize } = await request.sizes();
  // No response is without headers: less than nothing is what is left of none at all.
  if (responseBodySize < 0) return null;
  // The browser does not tell this of a worker's first script.
  return responseBodySize || Number(response.headers()["content-length"] ?? 0);
}
