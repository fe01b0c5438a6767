// The servers that the tests ask: `nystromformer serve`, and a static one for the demo.

import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

/** The folder of a tiny model with a tokenizer; `answers.json` in it is what transformers' pipelines answer. */
export const fixture = (name) => join(repository, "crates/pipelines/tests/fixtures", name);

/** The built program: `$NYSTROMFORMER`, or the release build. */
export function program() {
  const target = process.env.CARGO_TARGET_DIR ?? join(repository, "target");
  const path = process.env.NYSTROMFORMER ?? join(target, "release/nystromformer");
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(`there is no program \`${path}\`: cargo build --release --workspace --bins, or name one with NYSTROMFORMER`);
  }
  return path;
}

/** A process that says its address on stderr or stdout. */
class Server {
  static async start(command, args, pattern) {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    const server = new Server(child);
    server.url = await new Promise((resolve, reject) => {
      const hear = (part) => {
        server.said += part;
        const found = pattern.exec(server.said);
        if (found) resolve(found[1]);
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`\`${command} ${args.join(" ")}\` ended with ${code}: ${server.said}`)));
    });
    return server;
  }

  constructor(child) {
    this.child = child;
    this.said = "";
    this.ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  }

  /** Ends it with SIGTERM; gives its exit code. */
  stop() {
    this.child.kill("SIGTERM");
    return this.ended;
  }
}

/** Serves models, `{NAME: FOLDER}`, on a free port. */
export function serve(models, ...options) {
  const named = Object.entries(models).flatMap(([name, folder]) => ["--model", `${name}=${folder}`]);
  return Server.start(program(), ["serve", ...named, "--port", "0", ...options], /serving on (http:\/\/[^ /]+)/);
}

/** Serves a folder as its README says to. */
export async function serveFolder(folder) {
  const args = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder];
  return Server.start("python3", args, /\((http:\/\/[^/]+)\/\)/);
}
