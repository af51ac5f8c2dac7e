// A plain static host: node static-host.js FOLDER PORT PREFIX. No compression, no special headers, no fallback.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";

const [folder, port, prefix] = process.argv.slice(2);
const root = path.resolve(folder);
const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
};

http
  .createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://host");
    let file = path.join(root, decodeURIComponent(pathname.slice(prefix.length)));
    if (file === root || file === root + path.sep) file = path.join(root, "index.html");
    if (!pathname.startsWith(prefix) || !file.startsWith(root + path.sep) || !fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
      response.writeHead(404).end("not here");
      return;
    }
    response.writeHead(200, { "Content-Type": types[path.extname(file)] ?? "application/octet-stream" });
    fs.createReadStream(file).pipe(response);
  })
  .listen(Number(port), "127.0.0.1");
