#!/usr/bin/env node
// Starts openclaw on Node 24 or newer: this one, or the one that the `node` package brings along.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hideEnvironment } from "./hidden-environment.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const major = Number(process.versions.node.split(".")[0]);

if (major >= 24) {
  // The nursery grows while the program starts (to 4 MB), and no more: a larger one takes some 90 MB under load and
  // stops everything for a tenth of a second now and then; a smaller one costs a fifth of the processor.
  const { setFlagsFromString } = await import("node:v8");
  setTimeout(() => setFlagsFromString("--semi-space-growth-factor=1"), 1000).unref();
  const bundle = join(here, "dist", "main.js");
  if (existsSync(bundle)) {
    // Compiled code is kept beside the program, never in a folder that others can write to.
    const { enableCompileCache } = await import("node:module");
    enableCompileCache(join(here, "dist", "compile-cache"));
    await import(bundle);
  } else {
    await import("./src/main.ts");
  }
} else {
  const brought = join(here, "node_modules", "node", "bin", "node");
  if (!existsSync(brought)) {
    console.error(
      `openclaw needs Node 24 or newer; this is ${process.version}. Run "npm install" in ${here} first.`,
    );
    process.exit(1);
  }
  const { spawn } = await import("node:child_process");
  // This process stays as the parent of the other one.
  const { values: env } = hideEnvironment(process.env);
  const child = spawn(brought, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    env,
    stdio: "inherit",
  });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}
