// A network for other libraries: its layers with their numbers, as PyTorch lays them out or channels last.

const conv = (name, out) => ({ conv2d: { name, out, kernel: 3, stride: 1, padding: 1 } });

/** `Architecture::small_cnn`, the network of tests/reference. */
export const referenceArchitecture = {
  input: { channels: 1, height: 28, width: 28 },
  layers: [
    conv("conv1", 16),
    "relu",
    { max_pool2d: { size: 2 } },
    conv("conv2", 32),
    "relu",
    { max_pool2d: { size: 2 } },
    "flatten",
    { linear: { name: "fc1", out: 128 } },
    "relu",
    { linear: { name: "fc2", out: 10 } },
  ],
};

/** The tensors of a safetensors file: { name: { shape, data } }. */
export function readSafetensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const data = bytes.slice(start + offsets[0], start + offsets[1]).buffer;
    tensors[name] = { shape, data: readers[dtype]?.(data) ?? unreadable(name, dtype) };
  }
  return tensors;
}

const readers = {
  F32: (data) => new Float32Array(data),
  F16: (data) => Float32Array.from(new Uint16Array(data), half),
  I64: (data) => Array.from(new BigInt64Array(data), Number),
};

function unreadable(name, dtype) {
  throw new Error(`“${name}” is stored as ${dtype}, which this bench does not read`);
}

/** A 16-bit floating-point number from its bits. */
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const magnitude =
    exponent === 0 ? fraction * 2 ** -24
    : exponent === 31 ? (fraction ? NaN : Infinity)
    : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/**
 * The layers of a network { architecture, file } with `weight` and `bias` ({ shape, data }, as PyTorch lays them out)
 * and `input`, the shape of what goes in.
 */
export function layers({ architecture, file }) {
  const tensors = readSafetensors(file);
  let shape = architecture.input;
  return architecture.layers.map((described) => {
    const [kind, settings] = typeof described === "string" ? [described] : Object.entries(described)[0];
    const layer = { kind, ...settings };
    const input = shape;
    const weights = layer.name && { weight: tensors[`${layer.name}.weight`], bias: tensors[`${layer.name}.bias`] };
    switch (layer.kind) {
      case "conv2d": {
        const side = (n) => Math.floor((n + 2 * layer.padding - layer.kernel) / layer.stride) + 1;
        shape = { channels: layer.out, height: side(shape.height), width: side(shape.width) };
        break;
      }
      case "max_pool2d":
        shape = {
          channels: shape.channels,
          height: Math.floor(shape.height / layer.size),
          width: Math.floor(shape.width / layer.size),
        };
        break;
      case "flatten":
        shape = { channels: shape.channels * shape.height * shape.width, height: 1, width: 1 };
        break;
      case "linear":
        shape = { channels: layer.out, height: 1, width: 1 };
        break;
      case "relu":
        break;
      default:
        throw new Error(`the bench does not know layers of the kind “${layer.kind}”`);
    }
    return { ...layer, ...weights, input };
  });
}

/**
 * The same for libraries that keep channels last: kernels are (row, column, in, out), matrices (in, out), and those
 * after `flatten` have their inputs in the order row, column, channel.
 */
export function layersChannelsLast(network) {
  let flattened = null;
  return layers(network).map((layer) => {
    if (layer.kind === "flatten") flattened = layer.input;
    if (layer.kind === "conv2d") {
      const [out, channels, rows, columns] = layer.weight.shape;
      const data = new Float32Array(layer.weight.data.length);
      let at = 0;
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++)
          for (let i = 0; i < channels; i++)
            for (let o = 0; o < out; o++) data[at++] = layer.weight.data[((o * channels + i) * rows + r) * columns + c];
      return { ...layer, weight: { shape: [rows, columns, channels, out], data } };
    }
    if (layer.kind === "linear") {
      const [out, inputs] = layer.weight.shape;
      const { channels, height, width } = flattened ?? { channels: inputs, height: 1, width: 1 };
      flattened = null;
      const data = new Float32Array(layer.weight.data.length);
      let at = 0;
      for (let place = 0; place < height * width; place++)
        for (let c = 0; c < channels; c++)
          for (let o = 0; o < out; o++) data[at++] = layer.weight.data[o * inputs + c * height * width + place];
      return { ...layer, weight: { shape: [inputs, out], data } };
    }
    return layer;
  });
}
