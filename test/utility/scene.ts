/** A gateway as its first run sets it up, and a model that does a task's calls in it. */
import { execFileSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join, resolve } from "node:path";
import { type Ending, type GatewayClient, GatewayProcess } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import type { Call, Outcome, Task } from "./task.ts";

export type Place = "host" | "sandbox";

/** Host: the main conversation. Sandbox: any other, which the baseline puts into one. */
const sessionKeys: Readonly<Record<Place, string>> = { host: "agent:main:main", sandbox: "agent:main:guest" };
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export const hasSandbox = ["/usr/bin/bwrap", "/usr/bin/prlimit"].every((program) => existsSync(program));

/** The programs that a task needs and this machine has not. */
export function missing({ needs = [] }: Task): readonly string[] {
  return needs.filter((name) => !systemPath.split(":").some((folder) => existsSync(resolve(folder, name))));
}

export interface Scene {
  /** Approvals that were needed before the first task, to enter the sandbox for good. */
  readonly entryApprovals: number;
  /** Does the task there, from an empty workspace. Every question is answered with "once". */
  run(task: Task, place: Place): Promise<Outcome>;
}

export async function openScene(t: Ending): Promise<Scene> {
  let calls: readonly Call[] = [];
  let results: string[] = [];
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      const { role, content } = body.messages.at(-1) as { role: string; content: unknown };
      results = role === "tool" ? [...results, JSON.stringify(content)] : [];
      const call = calls[results.length];
      if (call === undefined) return [{ text: "done" }];
      const [name, args] = call;
      // What only the results tell, as a model reads it from them.
      const filled = JSON.stringify(args)
        .replace("(the session)", /(?<=sessionId )\w+/.exec(results.join())?.[0] ?? "")
        .replace("(the port)", /(?<=on port )\d+/.exec(results.join())?.[0] ?? "");
      return [{ call: { name, arguments: filled, id: `call_${randomUUID().slice(0, 8)}` } }];
    },
  });
  t.after(() => model.close());
  const site = await startSite(t);
  const gateway = await baselineGateway(t, model.url, new URL(site).host);
  const { token } = /token: "(?<token>[^"]+)"/.exec(readFileSync(gateway.configFile, "utf8"))?.groups ?? {};
  const client = await gateway.connect({ token: token ?? "" });
  const folders: Readonly<Record<Place, string>> = {
    host: join(gateway.stateFolder, "workspace"),
    sandbox: join(gateway.stateFolder, "sandboxes", sandboxId(sessionKeys.sandbox)),
  };

  /** What the model read, and how often somebody was asked. */
  async function perform(todo: readonly Call[], sessionKey: string, decision: string) {
    calls = todo;
    const runId = randomUUID();
    const asked = client.events.filter(isQuestion).length;
    await client.rpc("chat.send", { sessionKey, message: "Please do the task.", idempotencyKey: runId });
    const approvals = await answerAll(client, client.chatEnd(runId), asked, decision);
    return { said: results.join("\n"), approvals };
  }

  const entry = hasSandbox
    ? await perform([["exec", { command: "true" }]], sessionKeys.sandbox, "allow-always")
    : { approvals: 0 };
  return {
    entryApprovals: entry.approvals,
    async run(task, place) {
      const folder = folders[place];
      lay(folder, task);
      const { said, approvals } = await perform(task.calls(site), sessionKeys[place], "allow-once");
      const at = (path: string) => join(folder, path);
      const done = task.isDone({
        said,
        has: (path) => existsSync(at(path)),
        file: (path) => (existsSync(at(path)) ? readFileSync(at(path), "utf8") : ""),
      });
      return done ? approvals : (/\bpolicy\.\w+/.exec(said)?.[0] ?? "no result");
    },
  };
}

const isQuestion = ({ event }: { readonly event: string }) => event === "exec.approval.requested";

/** Answers each question until the turn has ended; gives how many there were. */
async function answerAll(
  client: GatewayClient,
  ended: Promise<unknown>,
  before: number,
  decision: string,
): Promise<number> {
  for (let count = 0; ; count += 1) {
    const next = client.waitFor((event) => isQuestion(event) && questions(client)[before + count] === event);
    const question = await Promise.race([next, ended.then(() => undefined)]);
    if (question === undefined) return count;
    await client.rpc("exec.approval.resolve", { id: question.payload.id, decision });
  }
}

const questions = (client: GatewayClient) => client.events.filter(isQuestion);

/** The first run's own config, with a model and a host that the operator has added. */
async function baselineGateway(t: Ending, modelUrl: string, allowedHost: string): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.prepare(t, {
    configured: false,
    env: { PATH: systemPath },
  });
  await gateway.start();
  await gateway.stop();
  const provider = {
    baseUrl: modelUrl,
    api: "openai-completions",
    apiKey: "mock-key-0123456789",
    models: [{ id: "m" }],
  };
  let text = readFileSync(gateway.configFile, "utf8");
  for (const [pattern, replacement] of [
    [/primary: "[^"]*"/, `primary: "mock/m"`],
    [/^ {2}discovery:/m, `  models: { providers: { mock: ${JSON.stringify(provider)} } },\n  discovery:`],
    [
      /^ {2}tools: \{/m,
      `  tools: {\n    web: { fetch: { ssrfPolicy: { allowedHostnames: [${JSON.stringify(allowedHost)}] } } },`,
    ],
    [/redactSensitive:/, `file: ${JSON.stringify(gateway.logFile)}, redactSensitive:`],
  ] as const) {
    if (!pattern.test(text)) throw new Error(`the first run's config has no ${pattern} any more: ${text}`);
    text = text.replace(pattern, replacement);
  }
  writeFileSync(gateway.configFile, text);
  return gateway.start();
}

/** A site of two pages that the operator allowed. */
async function startSite(t: Ending): Promise<string> {
  const server = createServer((request, response) => {
    const isPrices = request.url === "/prices.json";
    response.setHeader("content-type", isPrices ? "application/json" : "text/html");
    response.end(isPrices ? '{"apples":3}' : "<p>Open from nine to five.</p>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => void server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** As src/compose/sandboxes.ts names the sandbox of one conversation. */
function sandboxId(sessionKey: string): string {
  return `session-${createHash("sha256").update(sessionKey).digest("hex").slice(0, 16)}`;
}

/** Empties the folder, and lays the task's files in it. */
function lay(folder: string, { files = {}, prepare = [] }: Task): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  const env = { PATH: systemPath, HOME: folder, GIT_CONFIG_NOSYSTEM: "1" };
  for (const [program = "", ...args] of prepare) execFileSync(program, args, { cwd: folder, env });
}
