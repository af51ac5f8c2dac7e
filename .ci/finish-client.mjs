// The last step of the client's build; trunk runs it on its staging folder before that becomes dist/.
//
// trunk names the page's files by a hash taken before wasm-opt and the worker's by none, so that after an update a
// browser or a proxy could mix versions. Here each of the three modules gets a name from its final bytes:
//   NAME-HASH.js, NAME-HASH_bg.wasm   what wasm-bindgen made
//   NAME-start-HASH.js                runs it: the page's as the script of index.html, the others as workers
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

/** Renames a module's files by their content and writes what starts it, after some statements of its own. */
function version(name, first = "") {
  const files = fs.readdirSync(dist).filter((file) => file.startsWith(name) && /(\.js|\.wasm)$/.test(file));
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
  const start = `${first}const { default: init } = await import("./${made.js}");\nawait init();\n`;
  made.start = `${name}-start-${hashOf(start)}.js`;
  fs.writeFileSync(path.join(dist, made.start), start);
  return made;
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

const engine = version("engine");
// Loaded only by a page that trains.
const trainer = version("trainer");
// Both modules come down side by side, before either has run. The worker finds its own in the browser's cache; a
// `preload` would do as much, but browsers complain of one that the page itself makes no use of.
const page = version("page", `fetch("./${engine.wasm}").then((response) => response.arrayBuffer(), () => {});\n`);
copy("assets/models", /\.(safetensors|json)$/);
// The server trains on the digits; the page never asks for them.
copy("assets/data", /^(digits\.png|labels\.txt|test-.*\.(png|json)|(LICENSE|COPYING|README).*)$/);

const load = `<link rel="modulepreload" href="./${page.start}">
<link rel="modulepreload" href="./${page.js}">
<link rel="preload" href="./${page.wasm}" as="fetch" type="application/wasm" crossorigin>
<link rel="modulepreload" href="./${engine.js}">
<script type="module" src="./${page.start}"></script>`;
const index = path.join(dist, "index.html");
let html = fs.readFileSync(index, "utf8");
html = fill(html, /<link data-trunk rel="rust"[^>]*>/, load);
html = fill(html, /<meta name="engine" content="">/, `<meta name="engine" content="./${engine.start}">`);
html = fill(html, /<meta name="trainer" content="">/, `<meta name="trainer" content="./${trainer.start}">`);
html = html.replace(/<!--[^]*?-->\n?/g, "");
fs.writeFileSync(index, html);
