// Runs in the page before anything else of it: watches the page from outside, so that the product carries nothing for it.
//
// What is known: the mouse's movements, the slider's input events, which request each of them leads to (messages to the
// worker begin with their kind and number, see src/engine/protocol.rs), which answer came last, and when the picture of
// that answer was put on its canvas. The end of that frame is taken as the moment of the repaint: a message posted while
// painting is delivered once the browser has done the frame's style, layout and paint.

(() => {
  const EXPLORE = 0; // Request::Explore { id, … }
  const PART = 1; // Reply::Part { id, slot, part }
  const ATTACK = 1; // Part::Attack
  const PLANE = 4; // Part::Plane, whose last byte says whether it is the finest

  const observed = {
    /** When the frame with the first attack was done, in milliseconds from the beginning of the navigation. */
    first: null,
    /** What happened since `watch`: inputs { at, id }, repaints { id, at }, long tasks in milliseconds. */
    inputs: [],
    repaints: [],
    longTasks: [],
    /** For each request to the engine: when it was sent, and when the first plane and the finest came back. */
    planes: new Map(),
    /** Forgets what was seen so far. */
    watch() {
      longTasks.takeRecords();
      this.inputs = [];
      this.repaints = [];
      this.longTasks = [];
    },
    /** All of it. */
    seen() {
      this.longTasks.push(...longTasks.takeRecords().map((task) => task.duration));
      const { first, inputs, repaints } = this;
      return { first, inputs, repaints, longTasks: this.longTasks };
    },
  };
  globalThis.observed = observed;

  const longTasks = new PerformanceObserver((list) => {
    observed.longTasks.push(...list.getEntries().map((task) => task.duration));
  });
  longTasks.observe({ type: "longtask" });

  // The browser stamps a movement when it comes in, before the main thread has time for it.
  let moved = 0;
  addEventListener("pointermove", (event) => (moved = event.timeStamp), { capture: true });
  addEventListener(
    "input",
    (event) => {
      if (event.target.id === "epsilon") observed.inputs.push({ at: Math.min(moved || Infinity, event.timeStamp), id: null });
    },
    { capture: true },
  );

  let newest = 0;
  const worker = globalThis.Worker;
  globalThis.Worker = class Worker extends worker {
    constructor(...args) {
      super(...args);
      // Before the page's own listener: what it draws from here on belongs to this answer.
      this.addEventListener("message", ({ data }) => {
        if (!(data instanceof ArrayBuffer)) return;
        const [kind, id, slot, part] = numbers(data, 4);
        if (kind !== PART || slot !== 0) return;
        if (part === ATTACK) newest = id;
        const plane = part === PLANE && observed.planes.get(id);
        if (!plane) return;
        plane.coarse ??= performance.now();
        if (new Uint8Array(data).at(-1) === 1) plane.finest = performance.now();
      });
    }

    postMessage(message, ...rest) {
      if (message?.[0] instanceof ArrayBuffer) {
        const [kind, id] = numbers(message[0], 2);
        if (kind === EXPLORE) observed.planes.set(id, { asked: performance.now() });
        const input = observed.inputs.at(-1);
        if (kind === EXPLORE && input && input.id === null) input.id = id;
      }
      super.postMessage(message, ...rest);
    }
  };

  /** The whole numbers that a message begins with, in LEB128. */
  function numbers(buffer, count) {
    const bytes = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, 5 * count));
    const found = [];
    for (let at = 0; found.length < count && at < bytes.length; ) {
      let number = 0;
      for (let shift = 0; at < bytes.length; shift += 7) {
        const byte = bytes[at++];
        number += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
      }
      found.push(number);
    }
    return found;
  }

  /** The picture under attack: the last of the equation's three. */
  const isAdversarial = (canvas) => {
    const pictures = document.querySelector(".equation")?.querySelectorAll("canvas.pixels") ?? [];
    return pictures.length === 3 && pictures[2] === canvas;
  };

  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data: id }) => {
    const at = performance.now();
    observed.first ??= at;
    observed.repaints.push({ id, at });
  };
  let painted = 0;
  const { putImageData } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.putImageData = function (...args) {
    putImageData.apply(this, args);
    if (newest !== painted && isAdversarial(this.canvas)) {
      painted = newest;
      port2.postMessage(painted);
    }
  };
})();
