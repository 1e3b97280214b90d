import { accessFindings } from "../access/settings.ts";
import type { ConfigPath } from "./config-path.ts";
import type { Finding } from "./config-problem.ts";
import type { OpenClawConfig } from "./schema/mod.ts";
import { holdsReference } from "./substitute.ts";

export interface CrossCheckContext {
  /** The process' variables: OPENCLAW_GATEWAY_TOKEN and OPENCLAW_GATEWAY_PASSWORD count as configured secrets. */
  readonly env: { readonly [name: string]: string | undefined };
  /** Let `${NAME}` stand for a secret whose variable is not set here. For tools that run beside the gateway. */
  readonly allowUnresolved?: boolean;
}

/** What the schema cannot see: values that are each valid and together wrong, or unsafe. Empty means consistent. */
export function crossCheck(config: OpenClawConfig, context: CrossCheckContext): Finding[] {
  const findings: Finding[] = [];
  const report: Report = (path, message) => {
    findings.push({ path, message });
  };
  checkGateway(config, context, report);
  checkChannels(config, report);
  checkAgents(config, report);
  checkTools(config, report);
  checkRoles(config, report);
  for (const { path, message } of accessFindings(config)) report(path, `must ${message}`);
  return findings;
}

type Report = (path: ConfigPath, message: string) => void;

/** Values that stand in published examples or come out of a broken template: a stranger tries them first. */
const publishedSecrets: readonly string[] = [
  "undefined",
  "null",
  "nan",
  "[object object]",
  "changeme",
  "change-me",
  "change_me",
  "password",
  "secret",
  "token",
  "...",
  "your-token",
  "your-token-here",
  "your_token",
  "your_token_here",
  "your-gateway-token",
  "your-secret-token",
  "your-password",
  "replace-me",
  "replace_me",
  "example",
  "<token>",
  "<new-token>",
  "<password>",
  "xxx",
  "__openclaw_redacted__",
  "[redacted]",
  "***",
];

function checkSecret(path: ConfigPath, value: unknown, context: CrossCheckContext, report: Report): void {
  if (value === undefined) return;
  if (typeof value !== "string") {
    // Passed over in silence, the gateway would run with a secret that nobody knows.
    if (!context.allowUnresolved) report(path, "is a secret reference that was not followed");
    return;
  }
  const plain = value.trim().toLowerCase();
  if (plain === "") report(path, "is blank; set a random value: openclaw doctor --generate-gateway-token");
  else if (publishedSecrets.includes(plain)) {
    report(path, "is a placeholder that anybody would try; set a random value of at least 24 characters");
  } else if (holdsReference(value) && !context.allowUnresolved) {
    const name = /\$\{([A-Z0-9_]+)\}/.exec(value)?.[1] ?? "";
    report(path, `the variable ${name} is not set, so this would be the text "\${${name}}"; set ${name}`);
  }
}

function checkGateway(config: OpenClawConfig, context: CrossCheckContext, report: Report): void {
  const gateway = config.gateway ?? {};
  const auth = gateway.auth ?? {};
  checkSecret(["gateway", "auth", "token"], auth.token, context, report);
  checkSecret(["gateway", "auth", "password"], auth.password, context, report);
  checkSecret(["hooks", "token"], config.hooks?.token, context, report);

  if (auth.token !== undefined && auth.password !== undefined && auth.mode === undefined) {
    report(
      ["gateway", "auth"],
      'both token and password are set; say which one counts: mode "token" or "password"',
    );
  }
  if (auth.mode === "trusted-proxy") {
    if (auth.token !== undefined) {
      report(
        ["gateway", "auth", "token"],
        'mode is "trusted-proxy", but a shared token is also configured; remove one',
      );
    }
    if (!auth.trustedProxy?.userHeader && !auth.trustedProxy?.assertion) {
      report(
        ["gateway", "auth"],
        'mode "trusted-proxy" needs trustedProxy.userHeader (the header that names the user) or trustedProxy.assertion',
      );
    }
    if (!gateway.trustedProxies?.length) {
      report(
        ["gateway", "auth", "mode"],
        '"trusted-proxy" needs the proxy\'s address in gateway.trustedProxies',
      );
    }
  }

  const password = auth.password ?? context.env.OPENCLAW_GATEWAY_PASSWORD;
  const token = auth.token ?? context.env.OPENCLAW_GATEWAY_TOKEN;
  const bind = gateway.bind ?? "loopback";
  const opens =
    bind === "lan" || bind === "tailnet" || (bind === "custom" && gateway.customBindHost !== "127.0.0.1");
  if (opens && !hasAuth(auth.mode, token, password)) {
    report(
      ["gateway", "bind"],
      `"${bind}" lets other machines connect, and no authentication is configured; set gateway.auth.token, or bind to "loopback"`,
    );
  }
  if (bind === "custom" && gateway.customBindHost === undefined) {
    report(["gateway", "bind"], '"custom" needs gateway.customBindHost: the IPv4 address to listen on');
  }

  const tailscale = gateway.tailscale?.mode ?? "off";
  if (tailscale === "funnel" && (auth.mode ?? "password") !== "password") {
    report(
      ["gateway", "tailscale", "mode"],
      '"funnel" is open to the internet: it needs gateway.auth.mode "password"',
    );
  } else if (tailscale === "funnel" && !password) {
    report(
      ["gateway", "tailscale", "mode"],
      '"funnel" is open to the internet: it needs gateway.auth.password',
    );
  }
  if (tailscale !== "off" && opens) {
    report(
      ["gateway", "bind"],
      `tailscale "${tailscale}" needs bind "loopback"; otherwise requests can go around it`,
    );
  }

  const hook = config.hooks?.token;
  if (config.hooks?.enabled === true && hook === undefined) {
    report(["hooks", "enabled"], "hooks need hooks.token: a random value that is not the gateway's");
  }
  // One secret for both would turn every webhook sender into an operator.
  if (typeof hook === "string" && hook !== "" && (hook === token || hook === password)) {
    report(["hooks", "token"], "is the same as the gateway's secret; give hooks a value of their own");
  }
}

function hasAuth(mode: string | undefined, token: unknown, password: unknown): boolean {
  switch (mode) {
    case "none":
      return false;
    case "trusted-proxy":
      return true;
    case "token":
      return Boolean(token);
    case "password":
      return Boolean(password);
    default:
      return Boolean(token) || Boolean(password);
  }
}

interface Gate {
  readonly enabled?: boolean;
  readonly dmPolicy?: string;
  readonly allowFrom?: readonly (string | number)[];
  readonly dm?: { readonly policy?: string; readonly allowFrom?: readonly (string | number)[] };
}

function checkChannels(config: OpenClawConfig, report: Report): void {
  const defaultPolicy = config.channels?.defaults?.dmPolicy;
  for (const [id, value] of Object.entries(config.channels ?? {})) {
    if (id === "defaults" || id === "modelByChannel") continue;
    const channel = value as Gate & { readonly accounts?: { readonly [account: string]: Gate } };
    checkGate(["channels", id], channel, {}, defaultPolicy, report);
    for (const [account, own] of Object.entries(channel.accounts ?? {})) {
      checkGate(["channels", id, "accounts", account], own, channel, defaultPolicy, report);
    }
  }
}

/** `inherited` is the channel that an account belongs to: what the account leaves out, it takes from there. */
function checkGate(
  path: ConfigPath,
  gate: Gate,
  inherited: Gate,
  fallback: string | undefined,
  report: Report,
): void {
  if (gate.dmPolicy !== undefined && gate.dm?.policy !== undefined && gate.dmPolicy !== gate.dm.policy) {
    report([...path, "dmPolicy"], "differs from dm.policy, which is the same setting; keep one of them");
  }
  const own = gate.dmPolicy ?? gate.dm?.policy;
  const policy = own ?? inherited.dmPolicy ?? inherited.dm?.policy ?? fallback;
  const ownList = gate.allowFrom ?? gate.dm?.allowFrom;
  // An account that sets neither repeats what was said about its channel.
  if (own === undefined && ownList === undefined && inherited !== gate && Object.keys(inherited).length > 0)
    return;
  const list = [
    ...(gate.allowFrom ?? []),
    ...(gate.dm?.allowFrom ?? []),
    ...(ownList === undefined ? [...(inherited.allowFrom ?? []), ...(inherited.dm?.allowFrom ?? [])] : []),
  ];
  const at = [...path, gate.dm?.policy !== undefined && gate.dmPolicy === undefined ? "dm" : "dmPolicy"];
  if (policy === "open" && !list.includes("*")) {
    report(at, '"open" lets anybody write to the agent: say so with "*" in allowFrom, or use "pairing"');
  }
  if (policy === "allowlist" && list.length === 0) {
    report(at, '"allowlist" with an empty allowFrom admits nobody; list the senders, or use "pairing"');
  }
}

function checkAgents(config: OpenClawConfig, report: Report): void {
  const { list, entries } = config.agents ?? {};
  if (list !== undefined && entries !== undefined) {
    report(["agents", "list"], "agents.list and agents.entries are two ways to say the same; keep one");
  }
  const seen = new Map<string, string | number>();
  const ids: (readonly [string, string | number])[] = [
    ...(list ?? []).map((agent, index) => [agent.id, index] as const),
    ...Object.keys(entries ?? {}).map((id) => [id, id] as const),
  ];
  for (const [id, key] of ids) {
    // Ids become folder names, and folders do not tell letters' case apart everywhere.
    const folded = id.toLowerCase();
    const path = typeof key === "number" ? ["agents", "list", key, "id"] : ["agents", "entries", key];
    if (seen.has(folded)) report(path, `the agent "${id}" is there twice; give each its own id`);
    seen.set(folded, key);
  }
  if (seen.size === 0) return;
  for (const [index, binding] of (config.bindings ?? []).entries()) {
    if (!seen.has(binding.agentId.toLowerCase())) {
      report(["bindings", index, "agentId"], `there is no agent "${binding.agentId}"`);
    }
  }
}

interface ToolScope {
  readonly allow?: readonly string[];
  readonly alsoAllow?: readonly string[];
}

/** Every object anywhere under `tools` that is a scope or an exec policy follows the same two rules. */
function checkTools(config: OpenClawConfig, report: Report): void {
  const visit = (value: unknown, path: ConfigPath): void => {
    if (typeof value !== "object" || value === null) return;
    const scope = value as ToolScope & {
      readonly mode?: unknown;
      readonly security?: unknown;
      readonly ask?: unknown;
    };
    if (!Array.isArray(value) && scope.allow !== undefined && scope.alsoAllow !== undefined) {
      report(
        [...path, "alsoAllow"],
        '"allow" replaces the list and "alsoAllow" adds to it; keep one of them',
      );
      report([...path, "allow"], 'stands beside "alsoAllow"; keep one of them');
    }
    const isExec = path.at(-1) === "exec" && path.at(-2) === "tools";
    if (isExec && scope.mode !== undefined && (scope.security !== undefined || scope.ask !== undefined)) {
      report([...path, "mode"], '"mode" already says what "security" and "ask" say; remove those');
    }
    for (const [key, member] of Object.entries(value)) {
      visit(member, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  };
  visit(config.tools, ["tools"]);
  visit(config.agents, ["agents"]);
  visit(config.channels, ["channels"]);
}

function checkRoles(config: OpenClawConfig, report: Report): void {
  const roles = config.gateway?.roles;
  if (roles && !Object.hasOwn(roles.definitions, roles.default)) {
    report(["gateway", "roles", "default"], `there is no role "${roles.default}" in definitions`);
  }
}
