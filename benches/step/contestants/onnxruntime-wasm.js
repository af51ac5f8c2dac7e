// onnxruntime-web 1.30 on WebAssembly with SIMD, one thread. It has no gradients: theirs is a graph made by hand.

import { layers } from "../network.js";
import * as ort from "/modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { forwardModel, gradientModel } from "../onnx.js";

ort.env.wasm.wasmPaths = "/modules/onnxruntime-web/dist/";
ort.env.wasm.numThreads = 1;

export async function open(network) {
  const { channels, height, width } = network.architecture.input;
  const classes = layers(network).at(-1).out;
  const [forward, gradient] = [
    await ort.InferenceSession.create(forwardModel(network)),
    await ort.InferenceSession.create(gradientModel(network)),
  ];
  const pictures = (images) => {
    const shape = [images.length / (channels * height * width), channels, height, width];
    return new ort.Tensor("float32", images, shape);
  };
  const only = (outputs) => Object.values(outputs)[0].data;
  return {
    forward: async (images) => only(await forward.run({ images: pictures(images) })),
    step: async (images, labels) => {
      const truth = new Float32Array(labels.length * classes);
      labels.forEach((label, i) => (truth[i * classes + label] = 1));
      const feeds = { images: pictures(images), truth: new ort.Tensor("float32", truth, [labels.length, classes]) };
      return only(await gradient.run(feeds));
    },
  };
}
