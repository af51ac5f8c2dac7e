// TensorFlow.js with any of its backends.

import { layersChannelsLast } from "./network.js";

/** Loads a script that makes the global `tf`, once. */
const scripts = new Map();
export function script(address) {
  if (!scripts.has(address)) {
    const loaded = new Promise((resolve, reject) => {
      const element = Object.assign(document.createElement("script"), { src: address, onload: resolve });
      element.onerror = () => reject(new Error(`${address} cannot be loaded`));
      document.head.append(element);
    });
    scripts.set(address, loaded);
  }
  return scripts.get(address);
}

await script("/modules/@tensorflow/tfjs/dist/tf.min.js");

/** The contestant on a backend. */
export async function openOn(backend, network) {
  const { tf } = globalThis;
  const use = async () => {
    if (tf.getBackend() !== backend && !(await tf.setBackend(backend))) throw new Error(`no backend “${backend}”`);
    await tf.ready();
  };
  await use();
  const layers = layersChannelsLast(network).map((layer) => ({
    ...layer,
    weight: layer.weight && tf.tensor(layer.weight.data, layer.weight.shape),
    bias: layer.bias && tf.tensor1d(layer.bias.data),
  }));
  const { channels, height, width } = network.architecture.input;
  // One channel: last or first is the same.
  if (channels !== 1) throw new Error("pictures have to have one channel");
  const logits = (x) => layers.reduce((x, layer) => apply(tf, layer, x), x);
  const classes = layers.at(-1).out;
  const pictures = (images) => tf.tensor4d(images, [images.length / (height * width), height, width, 1]);

  // Changing the backend is quick, and no other contestant's business.
  const on = (compute) => {
    if (tf.getBackend() === backend) return compute();
    return use().then(compute);
  };
  return {
    forward: (images) => on(() => tf.tidy(() => logits(pictures(images)).dataSync())),
    step: (images, labels) =>
      on(() =>
        tf.tidy(() => {
          const truth = tf.oneHot(tf.tensor1d(labels, "int32"), classes).toFloat();
          const loss = (x) => tf.losses.softmaxCrossEntropy(truth, logits(x), undefined, 0, tf.Reduction.SUM);
          return tf.grad(loss)(pictures(images)).dataSync();
        }),
      ),
  };
}

function apply(tf, { kind, weight, bias, stride, padding, size }, x) {
  switch (kind) {
    case "conv2d":
      return tf.conv2d(x, weight, stride, padding).add(bias);
    case "relu":
      return x.relu();
    case "max_pool2d":
      return tf.maxPool(x, size, size, "valid");
    case "flatten":
      return x.reshape([x.shape[0], -1]);
    case "linear":
      return x.matMul(weight).add(bias);
  }
}
