import { open } from "node:fs/promises";
import { request } from "node:http";
import { type Random, token } from "../kernel/mod.ts";
import type { KnownProvider } from "../providers/mod.ts";
import { ensureFolder } from "../store/json-file.ts";
import { type StatePaths, unusable } from "./state-folder.ts";

/** What a first run decided, and why, for the person who reads the terminal. */
export interface FirstRun {
  /** The text of openclaw.json. */
  readonly config: string;
  readonly model: string;
  /** "because ANTHROPIC_API_KEY is set", ... */
  readonly because: string;
}

/** The seeds' secure baseline, with a random token and the model that this machine can reach. */
export async function firstRun(ports: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly random: Random;
  readonly known: Readonly<Record<string, KnownProvider>>;
  readonly workspace: string;
  readonly ollamaModels?: () => Promise<readonly string[]>;
  /** What makes sandboxes here; undefined: nothing does. */
  readonly sandboxMaker: string | undefined;
}): Promise<FirstRun> {
  const chosen = await chooseModel(ports);
  return {
    config: baselineConfig(token(ports.random), chosen.model, ports.workspace, ports.sandboxMaker),
    ...chosen,
  };
}

async function chooseModel(
  ports: Parameters<typeof firstRun>[0],
): Promise<{ model: string; because: string }> {
  for (const [id, provider] of Object.entries(ports.known)) {
    const key = provider.envKeys.find((name) => (ports.env[name] ?? "").trim() !== "");
    if (key && provider.defaultModel !== undefined) {
      return { model: `${id}/${provider.defaultModel}`, because: `because ${key} is set` };
    }
  }
  const local = await (ports.ollamaModels ?? runningOllama)();
  if (local[0] !== undefined)
    return { model: `ollama/${local[0]}`, because: "because Ollama is running here" };
  return {
    model: "demo/demo",
    because:
      "because no provider's key is in the environment and no Ollama is running; it works offline and is no real model",
  };
}

/** The models of an Ollama on this machine; empty when there is none. Waits at most 300 ms. */
function runningOllama(): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const call = request({ host: "127.0.0.1", port: 11434, path: "/api/tags", timeout: 300 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > 1_000_000) call.destroy();
      });
      response.on("end", () => {
        try {
          const { models } = JSON.parse(body) as { models?: { name?: unknown }[] };
          resolve((models ?? []).map((model) => model.name).filter((name) => typeof name === "string"));
        } catch {
          resolve([]);
        }
      });
    });
    call.on("timeout", () => call.destroy());
    call.on("error", () => resolve([]));
    call.on("close", () => resolve([]));
    call.end();
  });
}

function baselineConfig(
  gatewayToken: string,
  model: string,
  workspace: string,
  maker: string | undefined,
): string {
  const sandboxBlock = maker
    ? `\n      // Made with ${maker}, which was found here; which one is used: openclaw sandbox explain\n      sandbox: { mode: "non-main", scope: "session", workspaceAccess: "none" },`
    : `\n      // Commands of groups and guests can run in sandboxes. Install bubblewrap, Docker or Podman, then: sandbox: { mode: "non-main", scope: "session", workspaceAccess: "none" },`;
  return `// The configuration of this gateway: JSON5, checked strictly. See docs/configuration.md.
{
  gateway: {
    mode: "local",
    bind: "loopback",
    port: 18789,
    // Anybody who has this token is an operator. A new one: openclaw config set gateway.auth.token <value>
    auth: { mode: "token", token: ${JSON.stringify(gatewayToken)} },
  },
  discovery: { mdns: { mode: "minimal" } },
  session: { dmScope: "per-channel-peer" },
  agents: {
    defaults: {
      model: { primary: ${JSON.stringify(model)} },
      workspace: ${JSON.stringify(workspace)},${sandboxBlock}
    },
  },
  tools: {
    // Commands run on this machine: what is not on the allowlist asks first.
    exec: { mode: "ask" },
    elevated: { allowFrom: ["main"], requireApproval: true },
  },
  // A channel listens only once it has an account here, for example:
  // channels: { telegram: { botToken: "...", dmPolicy: "pairing", groups: { "*": { requireMention: true } } } },
  logging: { redactSensitive: "tools" },
}
`;
}

/** Writes the first config, 600 in a folder of 700. Never over an existing file. */
export async function writeFirst(paths: StatePaths, text: string): Promise<void> {
  try {
    await ensureFolder(paths.root);
    const handle = await open(paths.configFile, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw unusable(paths, error);
  }
}
