// The last step of the client's build; trunk runs it on its staging folder before that becomes dist/.
//
// trunk names the page's files by a hash taken before wasm-opt and the worker's by none, so that after an update a
// browser or a proxy could mix versions. Here each module gets a name from its final bytes:
//   NAME-HASH.js, NAME-HASH_bg.wasm   what wasm-bindgen made
//   NAME-start-HASH.js                runs it: the page's as the script of index.html, the others as workers
// The engine is there twice, with relaxed SIMD and without; its start-HASH.js loads what the browser can run.
// A file with such a name never changes and may be cached for ever; index.html never. All addresses are relative.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const source = process.env.TRUNK_SOURCE_DIR;
const dist = process.env.TRUNK_STAGING_DIR;

function hashOf(...contents) {
  const hash = createHash("sha256");
  for (const content of contents) hash.update(content);
  return hash.digest("hex").slice(0, 16);
}

/** Renames a module's files by their content. */
function version(name) {
  const ofModule = new RegExp(`^${name}(-[0-9a-f]+)?(_bg|_loader)?\\.(js|wasm)$`);
  const files = fs.readdirSync(dist).filter((file) => ofModule.test(file));
  const wasmFile = files.find((file) => file.endsWith("_bg.wasm"));
  const jsFile = files.find((file) => file === wasmFile?.replace("_bg.wasm", ".js"));
  if (!wasmFile || !jsFile) throw new Error(`trunk left no module “${name}” in ${dist}`);
  const wasm = fs.readFileSync(path.join(dist, wasmFile));
  const js = fs.readFileSync(path.join(dist, jsFile), "utf8");
  const own = `new URL('${name}_bg.wasm', import.meta.url)`;
  if (js.split(own).length !== 2) throw new Error(`${jsFile} does not load its module by ${own}, as it used to`);

  const hash = hashOf(js, wasm);
  const made = { js: `${name}-${hash}.js`, wasm: `${name}-${hash}_bg.wasm` };
  for (const file of files) fs.rmSync(path.join(dist, file));
  fs.writeFileSync(path.join(dist, made.js), js.replace(`${name}_bg.wasm`, made.wasm));
  fs.writeFileSync(path.join(dist, made.wasm), wasm);
  return made;
}

/** Writes what starts a module: some statements, and which module, as an expression. */
function start(name, module, first = "") {
  const script = `${first}const { default: init } = await import(${module});\nawait init();\n`;
  const file = `${name}-start-${hashOf(script)}.js`;
  fs.writeFileSync(path.join(dist, file), script);
  return file;
}

/** Copies the files of a folder, and of those in it, whose name fits. */
function copy(folder, fits) {
  const from = path.join(source, folder);
  if (!fs.existsSync(from)) return;
  for (const file of fs.readdirSync(from, { recursive: true })) {
    if (!fits.test(path.basename(file))) continue;
    fs.mkdirSync(path.dirname(path.join(dist, folder, file)), { recursive: true });
    fs.copyFileSync(path.join(from, file), path.join(dist, folder, file));
  }
}

/** Replaces the one place that fits. */
function fill(html, pattern, replacement) {
  const found = html.match(new RegExp(pattern.source, "g"))?.length ?? 0;
  if (found !== 1) throw new Error(`index.html has ${found} places like ${pattern.source}; there must be one`);
  return html.replace(pattern, replacement);
}

const page = version("page");
const engine = version("engine");
const relaxed = version("engine-relaxed");
// Loaded only by a page that trains.
const trainer = version("trainer");

// A module that fuses a multiplication with an addition: is it valid here?
const probe = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0,
  65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11];
const choose = `const relaxed = WebAssembly.validate(new Uint8Array([${probe}]));\n`;
// Whoever wants the same results everywhere asks for the address with #exact.
const engineStart = start("engine", `relaxed && location.hash !== "#exact" ? "./${relaxed.js}" : "./${engine.js}"`, choose);
const trainerStart = start("trainer", `"./${trainer.js}"`);
// Page and engine come down side by side, before either has run. The worker finds its own in the browser's cache; a
// `preload` would do as much, but browsers complain of one that the page itself makes no use of.
const ahead = `for (const file of relaxed ? ["./${relaxed.js}", "./${relaxed.wasm}"] : ["./${engine.js}", "./${engine.wasm}"]) {
  fetch(file).then((response) => response.arrayBuffer(), () => {});
}
`;
const pageStart = start("page", `"./${page.js}"`, choose + ahead);
copy("assets/models", /\.(safetensors|json)$/);
// The server trains on the digits; the page never asks for them.
copy("assets/data", /^(digits\.png|labels\.txt|test-.*\.(png|json)|(LICENSE|COPYING|README).*)$/);

const load = `<link rel="modulepreload" href="./${pageStart}">
<link rel="modulepreload" href="./${page.js}">
<link rel="preload" href="./${page.wasm}" as="fetch" type="application/wasm" crossorigin>
<script type="module" src="./${pageStart}"></script>`;
const index = path.join(dist, "index.html");
let html = fs.readFileSync(index, "utf8");
html = fill(html, /<link data-trunk rel="rust"[^>]*>/, load);
html = fill(html, /<meta name="engine" content="">/, `<meta name="engine" content="./${engineStart}">`);
html = fill(html, /<meta name="trainer" content="">/, `<meta name="trainer" content="./${trainerStart}">`);
html = html.replace(/<!--[^]*?-->\n?/g, "");
fs.writeFileSync(index, html);
