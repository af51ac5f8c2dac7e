// TensorFlow.js 4.22 on its backend in plain JavaScript.

import { openOn } from "../tfjs.js";

export const open = (network) => openOn("cpu", network);
