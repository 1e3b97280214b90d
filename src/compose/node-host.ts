import { stat } from "node:fs/promises";
import { cpus, freemem, homedir, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { signedTexts } from "../auth/mod.ts";
import { type Clock, InputError, type Log, type Random, Secret } from "../kernel/mod.ts";
import {
  createNodeRules,
  createRunner,
  findProgram,
  type LinkSocket,
  type LinkSocketEvents,
  type LinkState,
  type NodeLink,
  nodeCommands,
  openIdentity,
  startLink,
  trustedFolders,
} from "../nodes/host/mod.ts";
import { isInterpreter } from "../policy/mod.ts";
import { environmentProblem, runArgv, type SendSignal } from "../sandbox/mod.ts";
import { ensureFolder, readJsonFile, writeJsonFile } from "../store/mod.ts";

/** Which gateway a node belongs to; remembered, with what it got there. */
export interface NodeMemory {
  readonly url: string;
  readonly tlsFingerprint?: string;
  readonly displayName?: string;
  readonly commands?: readonly string[];
  /** Worth something only together with the key in identity.json. */
  readonly deviceToken?: string;
}

/** The files of a node, all 600 in a folder of its own. */
export function nodeFiles(stateFolder: string) {
  const folder = join(stateFolder, "node");
  const json = (name: string) => {
    const path = join(folder, name);
    return {
      path,
      read: () => readJsonFile(path),
      async write(value: unknown) {
        await ensureFolder(folder);
        await writeJsonFile(path, value);
      },
    };
  };
  return {
    identity: json("identity.json"),
    gateway: json("gateway.json"),
    rules: json("exec-approvals.json"),
    status: json("status.json"),
  };
}

/** The gateway that this node was last told to belong to. */
export async function readNodeMemory(stateFolder: string): Promise<NodeMemory | undefined> {
  const value = await nodeFiles(stateFolder).gateway.read();
  const memory = value as Partial<NodeMemory> | undefined;
  if (memory === undefined) return undefined;
  if (typeof memory?.url !== "string")
    throw new InputError(
      "gateway.json of the node has an unknown shape; remove it, and give the gateway again",
    );
  return { ...memory, url: memory.url };
}

export interface NodeHostOptions {
  readonly stateFolder: string;
  readonly memory: NodeMemory;
  readonly token?: Secret;
  readonly password?: Secret;
  readonly bootstrapToken?: Secret;
  readonly version: string;
  readonly platform: string;
  readonly displayName: string;
  readonly path: string;
  readonly home: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly sendSignal: SendSignal;
  readonly open: (events: LinkSocketEvents) => LinkSocket;
  readonly changed: (state: LinkState) => void;
}

/** A headless node: this machine, as the gateway's hands. */
export async function startNodeHost(options: NodeHostOptions): Promise<NodeLink> {
  const { clock, random, log, memory } = options;
  const files = nodeFiles(options.stateFolder);
  const identity = await openIdentity(files.identity);
  const rules = createNodeRules(files.rules);
  const home = options.home ?? homedir();
  const folders = () => trustedFolders(options.path);
  const sandbox = {
    clock,
    random,
    sendSignal: options.sendSignal,
    baseEnv: { PATH: (await folders()).join(":") },
    home,
    maxOutputChars: 200_000,
    killGraceMs: 2000,
  };
  const runner = createRunner({
    clock,
    rules,
    folders,
    home,
    isInterpreter,
    environmentProblem,
    start: (request) => runArgv(sandbox, request),
  });
  const notifier = await findProgram(
    options.platform === "darwin" ? "osascript" : "notify-send",
    await folders(),
    "/",
  );
  const commands = nodeCommands({
    runner,
    rules,
    folders,
    only: memory.commands,
    notify:
      notifier === undefined
        ? undefined
        : async (title, body, signal) => {
            const { exitCode } = await runArgv(sandbox, {
              file: notifier,
              argv: notifyWords(options.platform, title, body),
              cwd: "/",
              cwdIdentity: await identityOf("/"),
              env: {},
              timeoutMs: 10_000,
              signal,
              output: () => {},
            });
            if (exitCode !== 0) throw new InputError("the notification could not be shown");
          },
  });

  let bootstrapToken = options.bootstrapToken;
  let deviceToken = memory.deviceToken === undefined ? undefined : new Secret(memory.deviceToken);
  let written = Promise.resolve();
  function remember(token: Secret | undefined): void {
    deviceToken = token;
    bootstrapToken = undefined;
    const { deviceToken: _old, ...rest } = memory;
    const value = { version: 1, ...rest, ...(token ? { deviceToken: token.reveal() } : {}) };
    written = written
      .then(() => files.gateway.write(value))
      .catch((error: Error) => log("error", "the node's token could not be kept", { error: error.message }));
  }

  const facts = { clientId: "node-host", clientMode: "node", role: "node", scopes: [] };
  const deviceFamily = options.platform === "darwin" ? "Mac" : "Linux";
  const { platform } = options;
  return startLink({
    clock,
    log,
    identity,
    commands,
    open: options.open,
    credentials: () => ({
      ...(bootstrapToken ? { bootstrapToken } : {}),
      ...(deviceToken ? { deviceToken } : {}),
      ...(options.token ? { token: options.token } : {}),
      ...(options.password ? { password: options.password } : {}),
    }),
    client: { version: options.version, platform, displayName: options.displayName, deviceFamily },
    pathEnv: (await folders()).join(":"),
    signedText: ({ signedAt, nonce, token }) =>
      signedTexts(
        { id: identity.deviceId, signedAt, nonce },
        { ...facts, token, platform, deviceFamily },
      )[0] ?? "",
    secret: (value) => new Secret(value),
    gotToken(token) {
      if (deviceToken?.reveal() !== token.reveal() || bootstrapToken) remember(token);
    },
    lostToken: () => remember(undefined),
    stats: () => ({
      cpuCount: Math.max(1, cpus().length),
      loadAverage: loadavg(),
      memoryTotalBytes: totalmem(),
      memoryFreeBytes: freemem(),
    }),
    changed: options.changed,
  });
}

/** Title and text are operands, never options or script. */
function notifyWords(platform: string, title: string, body: string): readonly string[] {
  if (platform !== "darwin") return ["notify-send", "--app-name=OpenClaw", "--", title, body];
  const script = [
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
  ];
  return ["osascript", ...script.flatMap((line) => ["-e", line]), "--", title, body];
}

async function identityOf(folder: string): Promise<string> {
  const { dev, ino } = await stat(folder);
  return `${dev}:${ino}`;
}
