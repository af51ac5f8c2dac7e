// TensorFlow.js 4.22 on its WebAssembly backend with SIMD, one thread.

import { openOn, script } from "../tfjs.js";

const folder = "/modules/@tensorflow/tfjs-backend-wasm/dist/";
await script(`${folder}tf-backend-wasm.min.js`);
tf.wasm.setWasmPaths(folder);
tf.wasm.setThreadsCount(1);

export const open = (network) => openOn("wasm", network);
