// Writes a network, and its input gradient by hand, as an ONNX model. Only what these networks need of the format
// (onnx.proto3), in protobuf's encoding.

import { layers } from "./network.js";

const OPSET = 13;
const FLOAT = 1;

/** The model: `images` (N, C, H, W) to `logits` (N, K). */
export function forwardModel(network) {
  const graph = new Graph();
  const logits = forward(graph, layers(network)).at(-1).output;
  return model(graph, [images(network)], [value(logits, ["N", layers(network).at(-1).out])]);
}

/** The model: `images` and `truth` (N, K), one-hot, to `gradient` of the summed cross-entropy, shaped as the images. */
export function gradientModel(network) {
  const graph = new Graph();
  const all = layers(network);
  const passed = forward(graph, all);
  const classes = all.at(-1).out;
  const probabilities = graph.node("Softmax", [passed.at(-1).output], { axis: 1 });
  let cotangent = graph.node("Sub", [probabilities, "truth"]);
  for (const [i, layer] of [...all.entries()].reverse()) {
    cotangent = backward(graph, layer, passed[i], cotangent);
  }
  const { channels, height, width } = network.architecture.input;
  return model(graph, [images(network), value("truth", ["N", classes])], [value(cotangent, ["N", channels, height, width])]);
}

/** The names of the outputs and, for pooling, of the positions of the greatest values. */
function forward(graph, all) {
  let input = "images";
  return all.map((layer) => {
    const { kernel, stride, padding, size } = layer;
    const weights = () => [graph.tensor(layer.weight), graph.tensor(layer.bias)];
    let positions = null;
    switch (layer.kind) {
      case "conv2d":
        input = graph.node("Conv", [input, ...weights()], {
          kernel_shape: [kernel, kernel],
          strides: [stride, stride],
          pads: Array(4).fill(padding),
        });
        break;
      case "relu":
        input = graph.node("Relu", [input]);
        break;
      case "max_pool2d":
        [input, positions] = graph.nodes("MaxPool", [input], { kernel_shape: [size, size], strides: [size, size] }, 2);
        break;
      case "flatten":
        input = graph.node("Flatten", [input], { axis: 1 });
        break;
      case "linear":
        input = graph.node("Gemm", [input, ...weights()], { transB: 1 });
        break;
    }
    return { output: input, positions };
  });
}

function backward(graph, layer, { output, positions }, cotangent) {
  const { channels, height, width } = layer.input;
  switch (layer.kind) {
    case "conv2d": {
      if (layer.stride !== 1) throw new Error("only convolutions of stride 1 are turned round");
      const side = layer.kernel;
      return graph.node("Conv", [cotangent, graph.tensor(turned(layer.weight))], {
        kernel_shape: [side, side],
        pads: Array(4).fill(side - 1 - layer.padding),
      });
    }
    case "relu":
      return graph.node("Mul", [cotangent, graph.node("Sign", [output])]);
    case "max_pool2d":
      if (height % layer.size || width % layer.size) throw new Error("only windows that fit the picture are unpooled");
      return graph.node("MaxUnpool", [cotangent, positions], {
        kernel_shape: [layer.size, layer.size],
        strides: [layer.size, layer.size],
      });
    case "flatten":
      return graph.node("Reshape", [cotangent, graph.whole([-1, channels, height, width])]);
    case "linear":
      return graph.node("MatMul", [cotangent, graph.tensor(layer.weight)]);
  }
}

/** A kernel (out, in, row, column) for the way back: (in, out, row, column), rows and columns reversed. */
function turned({ shape: [out, channels, rows, columns], data }) {
  const back = new Float32Array(data.length);
  let at = 0;
  for (let i = 0; i < channels; i++)
    for (let o = 0; o < out; o++)
      for (let r = rows - 1; r >= 0; r--)
        for (let c = columns - 1; c >= 0; c--) back[at++] = data[((o * channels + i) * rows + r) * columns + c];
  return { shape: [channels, out, rows, columns], data: back };
}

/** Nodes and constants. */
class Graph {
  fields = [];
  #count = 0;

  /** A node with one output, whose name is returned. */
  node(kind, inputs, attributes = {}) {
    return this.nodes(kind, inputs, attributes, 1)[0];
  }

  nodes(kind, inputs, attributes, outputs) {
    const names = Array.from({ length: outputs }, () => `${kind}${this.#count++}`);
    const node = [...inputs.map((name) => [1, name]), ...names.map((name) => [2, name]), [4, kind]];
    for (const [name, setting] of Object.entries(attributes)) {
      const many = Array.isArray(setting);
      const content = many ? setting.map((i) => [8, i]) : [[3, setting]];
      node.push([5, message([[1, name], ...content, [20, many ? 7 : 2]])]);
    }
    this.fields.push([1, message(node)]);
    return names;
  }

  tensor({ shape, data }) {
    return this.#constant(shape, FLOAT, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  whole(numbers) {
    return this.#constant([numbers.length], 7, new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer));
  }

  #constant(shape, type, bytes) {
    const name = `constant${this.#count++}`;
    this.fields.push([5, message([...shape.map((side) => [1, side]), [2, type], [8, name], [9, bytes]])]);
    return name;
  }
}

function images({ architecture: { input } }) {
  return value("images", ["N", input.channels, input.height, input.width]);
}

function value(name, shape) {
  const sides = shape.map((side) => [1, message([typeof side === "number" ? [1, side] : [2, side]])]);
  return message([[1, name], [2, message([[1, message([[1, FLOAT], [2, message(sides)]])]])]]);
}

function model(graph, inputs, outputs) {
  const content = message([
    ...graph.fields,
    [2, "network"],
    ...inputs.map((input) => [11, input]),
    ...outputs.map((output) => [12, output]),
  ]);
  return message([[1, 8], [7, content], [8, message([[1, ""], [2, OPSET]])]]);
}

/** A protobuf message from [field, whole number, text or bytes]. */
function message(fields) {
  const parts = [];
  for (const [field, content] of fields) {
    if (typeof content === "number") {
      parts.push(varint(field * 8), varint(content));
    } else {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      parts.push(varint(field * 8 + 2), varint(bytes.length), bytes);
    }
  }
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function varint(number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  bytes.push(number);
  return Uint8Array.from(bytes);
}
