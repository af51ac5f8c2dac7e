// A Postgres of our own for a while: the server that the system's package has installed.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** Starts one on a socket in a folder of its own. */
export async function startPostgres() {
  const versions = "/usr/lib/postgresql";
  if (!fs.existsSync(versions)) throw new Error("Postgres is not installed (apt-get install postgresql)");
  const bin = path.join(versions, fs.readdirSync(versions).sort().pop(), "bin");
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "epsilon-lab-"));
  // It refuses to be root.
  const root = process.getuid() === 0;
  const as = (name, args) =>
    root ? ["setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", path.join(bin, name), ...args]] : [path.join(bin, name), args];
  if (root) execFileSync("chown", ["postgres", folder]);
  const data = path.join(folder, "data");
  execFileSync(...as("initdb", ["--auth=trust", "--username=lab", "-D", data]), { cwd: folder, stdio: "ignore" });
  const server = spawn(...as("postgres", ["-c", "listen_addresses=", "-k", folder, "-D", data]), { cwd: folder, stdio: "ignore" });
  process.on("exit", () => server.kill("SIGQUIT"));
  for (let tries = 0; ; tries++) {
    try {
      execFileSync(...as("psql", ["-h", folder, "-U", "lab", "-d", "postgres", "-c", "CREATE DATABASE lab"]), { cwd: folder, stdio: "ignore" });
      break;
    } catch {
      if (tries > 100) throw new Error("Postgres does not start");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return {
    address: `postgres://lab@localhost/lab?host=${folder}`,
    stop() {
      server.kill("SIGQUIT");
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}
