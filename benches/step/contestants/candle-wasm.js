// candle's own operations and autograd, in WebAssembly (benches/candle).

import init, { Candle } from "/candle/bench.js";

await init();

export function open({ architecture, file }) {
  const network = new Candle(JSON.stringify(architecture), file);
  return {
    forward: (images) => network.logits(images),
    step: (images, labels) => network.input_gradient(images, labels),
  };
}
