// Runs the contestants by turns. A contestant is a module in contestants/ with
//   open(network) → { forward(images), step(images, labels) }
// of which it may leave one out. `images` is a Float32Array (N, 1, 28, 28), `labels` a Uint8Array; forward gives the
// logits (N, 10), step the gradient of the summed cross-entropy, as long as `images`; either may give a promise. What it
// takes to bring images in and results out is part of the time.

import { readSafetensors, referenceArchitecture } from "./network.js";
import { readPictures } from "./pictures.js";

const bytes = async (address) => {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};

const card = await (await fetch("/assets/models/fashion-standard.json")).json();
const shipped = { architecture: card.architecture, file: await bytes(`/assets/models/${card.weights.file}`) };
const reference = { architecture: referenceArchitecture, file: await bytes("/reference/std.safetensors") };
const golden = readSafetensors(await bytes("/reference/golden.safetensors"));
// A sheet of 200 pictures, some of them twice.
const sheet = await readPictures("/assets/data/fashion/test-0.png", 200);
const pictures = Float32Array.from({ length: 256 * 784 }, (_, i) => sheet[i % sheet.length]);
const classes = (await (await fetch("/assets/data/fashion/labels.txt")).text()).replace(/\s/g, "").slice(0, 200);
const labels = classes + classes;

/** Contestants that have entered: { name, timed, checked }, on the shipped and on the reference network. */
const contestants = [];

const expected = {
  step: { result: golden.grad_ce_sum.data, run: (entry) => entry.step(golden.x.data, Uint8Array.from(golden.y.data)) },
  forward: { result: golden.logits.data, run: (entry) => entry.forward(golden.x.data) },
};

globalThis.bench = {
  async enter(name) {
    const { open } = await import(`./contestants/${name}.js`);
    contestants.push({ name, timed: await open(shipped), checked: await open(reference) });
  },

  /** ‖result − reference‖₂ / ‖reference‖₂ over the 8 golden pictures, and their cosine; the network is the reference's. */
  async errors(kind) {
    const errors = {};
    for (const { name, checked } of contestants.filter(({ checked }) => checked[kind])) {
      errors[name] = compare(await expected[kind].run(checked), expected[kind].result);
    }
    return errors;
  },

  /** Milliseconds of one call: medians of rounds of several calls, the order reversed from round to round. */
  async medians({ kind, batch, rounds, milliseconds }) {
    const images = pictures.slice(0, batch * 784);
    const classes = Uint8Array.from(labels.slice(0, batch));
    const runners = contestants
      .filter(({ timed }) => timed[kind])
      .map(({ name, timed }) => ({
        name,
        call: kind === "step" ? () => timed.step(images, classes) : () => timed.forward(images),
        times: [],
      }));
    for (const runner of runners) {
      // Warm enough to be compiled for speed, and how many calls make a round.
      await time(runner.call, 3);
      const calls = Math.ceil(200 / Math.max(await time(runner.call, 5), 0.05));
      runner.calls = Math.max(1, Math.round(milliseconds / (await time(runner.call, calls))));
    }
    for (let round = 0; round < rounds; round++) {
      for (const runner of round % 2 === 0 ? runners : runners.toReversed()) {
        runner.times.push(await time(runner.call, runner.calls));
      }
    }
    return Object.fromEntries(
      runners.map(({ name, times }) => [name, times.sort((a, b) => a - b)[Math.floor(times.length / 2)]]),
    );
  },

  /** Medians for one picture in a large network, in milliseconds. */
  async efficientnet(rounds) {
    const { Network } = await import("/engine/bench.js");
    const network = Network.efficientnet(await bytes("/assets/models/efficientnet-lite0.safetensors"));
    const image = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => ((i * 7919) % 1000) / 1000);
    const times = { forward: [], step: [] };
    for (let round = 0; round <= rounds; round++) {
      const forward = await time(() => network.logits(image), 1);
      const step = await time(() => network.input_gradient(image, Uint8Array.of(1)), 1);
      // The first round warms up.
      if (round > 0) [times.forward, times.step].forEach((all, i) => all.push([forward, step][i]));
    }
    const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
    return { forward: median(times.forward), step: median(times.step) };
  },
};

/** Milliseconds of one call, of several. */
async function time(call, calls) {
  const start = performance.now();
  for (let i = 0; i < calls; i++) {
    const result = call();
    // Waiting for what is there already would cost a turn.
    if (result instanceof Promise) await result;
  }
  return (performance.now() - start) / calls;
}

function compare(result, expected) {
  if (result.length !== expected.length) throw new Error(`${result.length} numbers where ${expected.length} are right`);
  let [difference, own, product, norm] = [0, 0, 0, 0];
  expected.forEach((value, i) => {
    difference += (result[i] - value) ** 2;
    own += result[i] ** 2;
    product += result[i] * value;
    norm += value ** 2;
  });
  return { error: Math.sqrt(difference / norm), cosine: product / Math.sqrt(own * norm) };
}
