import { Secret } from "../kernel/mod.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";

/** The gateway that a command asks, and what proves who asks. */
export interface GatewayTarget {
  /** ws:// or wss:// */
  readonly url: string;
  readonly token?: Secret;
  readonly password?: Secret;
  /** Where the credential came from, for error messages: "--token", "OPENCLAW_GATEWAY_TOKEN", "gateway.auth.token". */
  readonly credentialFrom: string | undefined;
}

export interface TargetOptions {
  readonly url?: string;
  readonly port?: number;
  readonly token?: string;
  readonly password?: string;
}

/**
 * Options first, then the environment, then the config file. With `--url` nothing but options counts: a configured
 * secret is never sent to an address that somebody talked the user into typing.
 */
export async function gatewayTarget(cli: Cli, options: TargetOptions): Promise<GatewayTarget> {
  const given = credentials(options.token, options.password, "--token", "--password");
  if (options.url !== undefined) {
    const url = remoteUrl(options.url);
    if (!given.credentialFrom)
      throw new UsageError(
        "--url needs --token or --password: configured credentials are never sent to another address",
      );
    return { url, ...given };
  }
  const environment = credentials(
    cli.env.OPENCLAW_GATEWAY_TOKEN,
    cli.env.OPENCLAW_GATEWAY_PASSWORD,
    "OPENCLAW_GATEWAY_TOKEN",
    "OPENCLAW_GATEWAY_PASSWORD",
  );
  const port = options.port ?? portOf(cli.env.OPENCLAW_GATEWAY_PORT);
  if (port !== undefined && (given.credentialFrom ?? environment.credentialFrom) !== undefined) {
    return { url: `ws://127.0.0.1:${port}/`, ...(given.credentialFrom ? given : environment) };
  }
  const gateway = await configuredGateway(cli);
  const host = gateway.bind === "custom" ? (gateway.customBindHost ?? "127.0.0.1") : "127.0.0.1";
  const configured = credentials(
    gateway.token,
    gateway.password,
    "gateway.auth.token",
    "gateway.auth.password",
  );
  const chosen = [given, environment, configured].find((item) => item.credentialFrom) ?? configured;
  return { url: `ws://${host.includes(":") ? `[${host}]` : host}:${port ?? gateway.port}/`, ...chosen };
}

function credentials(
  token: string | undefined,
  password: string | undefined,
  tokenName: string,
  passwordName: string,
): Omit<GatewayTarget, "url"> {
  if (token) return { token: new Secret(token), credentialFrom: tokenName };
  if (password) return { password: new Secret(password), credentialFrom: passwordName };
  return { credentialFrom: undefined };
}

/** The address as it is used. Throws a UsageError for one over which everybody on the way could read a secret. */
export function remoteUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url && { "ws:": "ws:", "wss:": "wss:", "http:": "ws:", "https:": "wss:" }[url.protocol];
  if (!url || !scheme || url.username !== "")
    throw new UsageError("--url is no gateway address; it looks like wss://host:18789");
  // Over plain ws:// everybody on the way could read the secret.
  const isLoopback = /^(?:127(?:\.\d+){3}|localhost|\[::1\])$/.test(url.hostname);
  if (scheme === "ws:" && !isLoopback)
    throw new UsageError(
      `--url ${visibleHost(url)}: only wss:// leaves this machine, the secret would be readable on the way. Use wss://, or a tunnel: ssh -L 18789:127.0.0.1:18789 ${url.hostname}`,
    );
  url.protocol = scheme;
  return url.href;
}

function visibleHost(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

function portOf(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new UsageError(`OPENCLAW_GATEWAY_PORT is ${JSON.stringify(text)}; it must be a port number`);
  return port;
}

interface ConfiguredGateway {
  readonly port: number;
  readonly bind: string | undefined;
  readonly customBindHost: string | undefined;
  readonly token: string | undefined;
  readonly password: string | undefined;
}

async function configuredGateway(cli: Cli): Promise<ConfiguredGateway> {
  const { configProblemText, loadConfig } = await import("../config/mod.ts");
  const loaded = await loadConfig({ file: cli.paths.configFile, env: cli.env, allowUnresolved: true });
  if (!loaded.ok) {
    const [first] = loaded.problems;
    throw new CommandFailure(
      1,
      `the config cannot be read, so the gateway's address and token are not known: ${first ? configProblemText(first) : cli.paths.configFile}. See: openclaw config validate`,
    );
  }
  const { gateway } = loaded.config;
  return {
    port: gateway?.port ?? 18_789,
    bind: gateway?.bind,
    customBindHost: gateway?.customBindHost,
    token: plainSecret(gateway?.auth?.token),
    password: plainSecret(gateway?.auth?.password),
  };
}

/** A reference that this shell cannot resolve counts as not there. */
function plainSecret(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && !/\$\{\w+\}/.test(value) ? value : undefined;
}
