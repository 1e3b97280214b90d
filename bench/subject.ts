// What is measured: the bare limit, ours, and the peer. All three are started the same way, in a fresh
// state folder, and are known from outside only: a port, the wire, /proc.

import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import path from "node:path";
import type { Command } from "./processes.ts";
import { runOnce } from "./processes.ts";

export type SubjectName = "bare" | "ours" | "peer";

/** A gateway's fresh home: its folders, its port, its configuration. */
export interface Place {
  readonly folder: string;
  readonly state: string;
  readonly port: number;
  readonly token: string;
}

export interface Subject {
  readonly name: SubjectName;
  readonly version: string;
  gateway(place: Place): Command;
  /** A command line call against the gateway at that place; undefined where there is no such thing. */
  commandLine(place: Place, args: readonly string[]): Command;
}

const repository = path.resolve(import.meta.dirname, "..");
const peerVersion = "2026.9.6";

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port on loopback");
  return address.port;
}

/** Writes the folders and the configuration into `folder`; both gateways get the same file. */
export async function furnish(folder: string, modelPort: number, plugins = 0): Promise<Place> {
  const state = path.join(folder, ".openclaw");
  const workspace = path.join(folder, "workspace");
  await mkdir(state, { mode: 0o700 });
  await mkdir(workspace, { mode: 0o700 });
  const port = await freePort();
  const token = crypto.randomUUID() + crypto.randomUUID();
  const ids = Array.from({ length: plugins }, (_, index) => `bench-${index}`);
  const config = {
    gateway: { mode: "local", port, bind: "loopback", auth: { mode: "token", token } },
    agents: { defaults: { model: { primary: "mock/mock-1" }, workspace } },
    models: { providers: { mock: mockProvider(modelPort) } },
    ...(plugins > 0 ? { plugins: { allow: ids } } : {}),
  };
  await writeFile(path.join(state, "openclaw.json"), JSON.stringify(config, null, 2), { mode: 0o600 });
  for (const id of ids) await writePlugin(path.join(state, "extensions", id), id);
  return { folder, state, port, token };
}

function mockProvider(modelPort: number): object {
  return {
    baseUrl: `http://127.0.0.1:${modelPort}/v1`,
    apiKey: "x-bench",
    api: "openai-completions",
    models: [
      {
        id: "mock-1",
        name: "mock-1",
        contextWindow: 32_000,
        maxTokens: 1_000,
        input: ["text"],
        reasoning: false,
        cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
      },
    ],
  };
}

async function writePlugin(folder: string, id: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const manifest = {
    id,
    name: id,
    version: "1.0.0",
    configSchema: { type: "object", additionalProperties: false },
  };
  const pack = { name: id, version: "1.0.0", type: "module", openclaw: { extensions: ["./index.js"] } };
  const code = `export default { id: ${JSON.stringify(id)}, name: ${JSON.stringify(id)}, register() {} };\n`;
  const files = {
    "openclaw.plugin.json": JSON.stringify(manifest),
    "package.json": JSON.stringify(pack),
    "index.js": code,
  };
  for (const [name, text] of Object.entries(files))
    await writeFile(path.join(folder, name), text, { mode: 0o600 });
}

/** Only what a process needs: the caller's own settings and keys must not reach the gateways. */
function environment(place: Place): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    HOME: place.folder,
    TMPDIR: place.folder,
    OPENCLAW_STATE_DIR: place.state,
    OPENCLAW_CONFIG_PATH: path.join(place.state, "openclaw.json"),
    OPENCLAW_DISABLE_BONJOUR: "1",
  };
}

function nodeSubject(name: SubjectName, version: string, node: string, entry: string): Subject {
  const command = (place: Place, args: readonly string[]): Command => ({
    file: node,
    args: [entry, ...args],
    env: environment(place),
    folder: place.folder,
  });
  return {
    name,
    version,
    gateway: (place) => command(place, ["gateway", "run", "--port", String(place.port)]),
    commandLine: command,
  };
}

export function bareSubject(): Subject {
  const entry = path.join(import.meta.dirname, "bare-server.mjs");
  const subject = nodeSubject("bare", process.version, process.execPath, entry);
  const gateway = (place: Place): Command => ({
    ...subject.commandLine(place, []),
    args: [entry, String(place.port)],
  });
  return { ...subject, gateway };
}

/** Ours, as a user starts it: the built bundle. Throws where there is nothing to start. */
export async function ourSubject(build: boolean): Promise<Subject> {
  const entry = path.join(repository, "openclaw.mjs");
  if (!existsSync(entry)) throw new Error("openclaw.mjs is not there yet");
  const pack = readPackage(path.join(repository, "package.json"));
  if (build && pack.scripts?.build !== undefined) {
    const env = { PATH: process.env.PATH ?? "", HOME: homedir() };
    await runOnce({ file: "npm", args: ["run", "build"], env, folder: repository }, 120_000);
  }
  const isBuilt = existsSync(path.join(repository, "dist", "main.js"));
  const version = `${pack.version ?? "0"}${isBuilt ? "" : " (from source, not built)"}`;
  return nodeSubject("ours", version, process.execPath, entry);
}

/** The peer, installed once into a cache folder outside the repository and only ever run, never read. */
export async function peerSubject(): Promise<Subject> {
  const cache =
    process.env.OPENCLAW_BENCH_CACHE ?? path.join(homedir(), ".cache", "openclaw-bench", peerVersion);
  if (cache.startsWith(repository + path.sep))
    throw new Error("OPENCLAW_BENCH_CACHE must lie outside the repository");
  const folder = path.join(cache, "node_modules", "openclaw");
  if (!existsSync(path.join(folder, "package.json"))) await installPeer(cache);
  const { version, bin } = readPackage(path.join(folder, "package.json"));
  if (version !== peerVersion)
    throw new Error(`the cache holds openclaw ${version}, not ${peerVersion}: empty ${cache}`);
  const entry = typeof bin === "string" ? bin : bin?.openclaw;
  if (entry === undefined) throw new Error("the peer's package names no command");
  return nodeSubject(
    "peer",
    version,
    path.join(cache, "node_modules", ".bin", "node"),
    path.join(folder, entry),
  );
}

async function installPeer(cache: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  await writeFile(path.join(cache, "package.json"), '{"private":true}\n');
  // The peer's own install step refuses an older Node, so this Node comes first on PATH.
  const env = { PATH: `${path.dirname(process.execPath)}:${process.env.PATH ?? ""}`, HOME: homedir() };
  const args = ["install", "--no-audit", "--no-fund", `openclaw@${peerVersion}`, "node@24"];
  await runOnce({ file: "npm", args, env, folder: cache }, 300_000);
}

interface Package {
  readonly version?: string;
  readonly bin?: string | Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
}

function readPackage(file: string): Package {
  return JSON.parse(readFileSync(file, "utf8")) as Package;
}
