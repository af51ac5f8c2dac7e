// The engine built with relaxed SIMD.

import init, { Network } from "/relaxed/bench.js";

await init();

export function open({ architecture, file }) {
  const network = new Network(JSON.stringify(architecture), file);
  return {
    forward: (images) => network.logits(images),
    step: (images, labels) => network.input_gradient(images, labels),
  };
}
