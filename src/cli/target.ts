import { join, resolve } from "node:path";
import { Secret } from "../kernel/mod.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { parseFingerprint } from "./pin.ts";

/** The gateway that a command asks, and what proves who asks. */
export interface GatewayTarget {
  /** ws:// or wss:// */
  readonly url: string;
  readonly token?: Secret;
  readonly password?: Secret;
  /** Where the credential came from, for error messages: "--token", "OPENCLAW_GATEWAY_TOKEN", "gateway.auth.token". */
  readonly credentialFrom: string | undefined;
  /** 64 hexadecimal digits: the only certificate that is talked to. */
  readonly tlsFingerprint?: string;
}

export interface TargetOptions {
  readonly url?: string;
  readonly port?: number;
  readonly token?: string;
  readonly password?: string;
  readonly "tls-fingerprint"?: string;
}

/**
 * Options first, then the environment, then the config file. With `--url` nothing but options counts: a configured
 * secret is never sent to an address that somebody talked the user into typing.
 */
export async function gatewayTarget(cli: Cli, options: TargetOptions): Promise<GatewayTarget> {
  const given = credentials(options.token, options.password, "--token", "--password");
  const pinOption = options["tls-fingerprint"];
  const pin = pinOption === undefined ? {} : pinned(pinOption, "--tls-fingerprint");
  if (options.url !== undefined) {
    const url = remoteUrl(options.url, cli.env);
    if (!given.credentialFrom)
      throw new UsageError(
        "--url needs --token or --password: configured credentials are never sent to another address",
      );
    return { url, ...given, ...pin };
  }
  const environment = credentials(
    cli.env.OPENCLAW_GATEWAY_TOKEN,
    cli.env.OPENCLAW_GATEWAY_PASSWORD,
    "OPENCLAW_GATEWAY_TOKEN",
    "OPENCLAW_GATEWAY_PASSWORD",
  );
  const port = options.port ?? portOf(cli.env.OPENCLAW_GATEWAY_PORT);
  if (port !== undefined && (given.credentialFrom ?? environment.credentialFrom) !== undefined) {
    const scheme = pinOption === undefined ? "ws" : "wss";
    return { url: `${scheme}://127.0.0.1:${port}/`, ...(given.credentialFrom ? given : environment), ...pin };
  }
  const gateway = await configuredGateway(cli);
  const { remote } = gateway;
  const remembered = credentials(
    remote.token,
    remote.password,
    "gateway.remote.token",
    "gateway.remote.password",
  );
  if (gateway.isRemote && remote.url !== undefined && port === undefined) {
    const chosen = [given, environment].find((item) => item.credentialFrom) ?? remembered;
    const configuredPin =
      remote.tlsFingerprint === undefined
        ? {}
        : pinned(remote.tlsFingerprint, "gateway.remote.tlsFingerprint");
    return {
      url: remoteUrl(remote.url, cli.env, "gateway.remote.url"),
      ...chosen,
      ...configuredPin,
      ...pin,
    };
  }
  const host = gateway.bind === "custom" ? (gateway.customBindHost ?? "127.0.0.1") : "127.0.0.1";
  const configured = credentials(
    gateway.token,
    gateway.password,
    "gateway.auth.token",
    "gateway.auth.password",
  );
  const chosen =
    [given, environment, configured, remembered].find((item) => item.credentialFrom) ?? configured;
  const scheme = gateway.tlsCertFile === undefined && pinOption === undefined ? "ws" : "wss";
  const ownPin = gateway.tlsCertFile === undefined ? {} : await pinOfFile(gateway.tlsCertFile);
  const at = port ?? (await runningPort(cli)) ?? gateway.port;
  return { url: `${scheme}://${host}:${at}/`, ...chosen, ...ownPin, ...pin };
}

/** The port that the gateway of this state folder noted, while that process lives: `gateway run --port` is not in the config. */
async function runningPort(cli: Cli): Promise<number | undefined> {
  try {
    const { readFile } = await import("node:fs/promises");
    const noted = await readFile(join(cli.paths.root, "state", "gateway.lock.json"), "utf8");
    const { pid, port } = JSON.parse(noted) as { readonly pid?: unknown; readonly port?: unknown };
    if (typeof pid !== "number" || typeof port !== "number" || !(pid > 0 && port > 0)) return undefined;
    cli.sendSignal(pid, 0);
    return port;
  } catch {
    // Nothing noted, or that process is gone.
    return undefined;
  }
}

function pinned(text: string, name: string): { readonly tlsFingerprint: string } {
  return { tlsFingerprint: parseFingerprint(text, name) };
}

/** The gateway's own certificate, where this user may read it: no authority needs to know it on its own machine. */
async function pinOfFile(file: string): Promise<{ readonly tlsFingerprint?: string }> {
  try {
    const [{ X509Certificate }, { readFile }] = await Promise.all([
      import("node:crypto"),
      import("node:fs/promises"),
    ]);
    return pinned(new X509Certificate(await readFile(file)).fingerprint256, file);
  } catch {
    return {};
  }
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
export function remoteUrl(
  text: string,
  env: Readonly<Record<string, string | undefined>> = {},
  name = "--url",
): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url && { "ws:": "ws:", "wss:": "wss:", "http:": "ws:", "https:": "wss:" }[url.protocol];
  if (!url || !scheme || url.username !== "")
    throw new UsageError(`${name} is no gateway address; it looks like wss://host:18789`);
  // Over plain ws:// everybody on the way could read the secret.
  const isLoopback = /^(?:127(?:\.\d+){3}|localhost|\[::1\])$/.test(url.hostname);
  const isExcepted = env[plainWsVariable] === "1" && isPrivateHost(url.hostname);
  if (scheme === "ws:" && !isLoopback && !isExcepted)
    throw new UsageError(
      `${name} ${visibleHost(url)}: only wss:// leaves this machine, the secret would be readable on the way. Use wss://, or a tunnel: ssh -L 18789:127.0.0.1:18789 ${url.hostname}`,
    );
  url.protocol = scheme;
  return url.href;
}

/** Documented break-glass, in the environment only: no config that somebody sends along turns it on. */
const plainWsVariable = "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS";

/** Addresses that leave no private network, and Tailscale's names. Not `.local`, for which anybody there may answer. */
function isPrivateHost(host: string): boolean {
  if (host.endsWith(".ts.net")) return true;
  const [a = 0, b = 0] = /^\d+(?:\.\d+){3}$/.test(host) ? host.split(".").map(Number) : [];
  return (
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128)
  );
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
  /** Set when it serves TLS. */
  readonly tlsCertFile: string | undefined;
  /** gateway.mode is "remote": commands ask the gateway of `remote`. */
  readonly isRemote: boolean;
  readonly remote: {
    readonly url: string | undefined;
    readonly token: string | undefined;
    readonly password: string | undefined;
    readonly tlsFingerprint: string | undefined;
  };
}

async function configuredGateway(cli: Cli): Promise<ConfiguredGateway> {
  const { configProblemText, loadConfig } = await import("../config/mod.ts");
  const loaded = await loadConfig({
    file: cli.paths.configFile,
    env: cli.env,
    allowUnresolved: true,
    // What this shell cannot follow counts as not there. Loaded only for a config that refers to something.
    async followReference(...order) {
      const [{ createSecretReferences }, { userInfo }] = await Promise.all([
        import("../compose/secret-references/mod.ts"),
        import("node:os"),
      ]);
      const { env, clock } = cli;
      return createSecretReferences({ env, uid: userInfo().uid, after: clock.after })(...order);
    },
  });
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
    tlsCertFile: gateway?.tls?.enabled === true ? certFile(cli, gateway.tls.certPath) : undefined,
    isRemote: gateway?.mode === "remote",
    remote: {
      url: gateway?.remote?.url,
      token: plainSecret(gateway?.remote?.token),
      password: plainSecret(gateway?.remote?.password),
      tlsFingerprint: gateway?.remote?.tlsFingerprint,
    },
  };
}

/** Where the gateway looks for it too. */
function certFile(cli: Cli, configured: string | undefined): string {
  const { HOME } = cli.env;
  if (configured?.startsWith("~/") && HOME) return join(HOME, configured.slice(2));
  return resolve(cli.paths.root, configured ?? join("gateway", "tls", "gateway-cert.pem"));
}

/** A reference that this shell cannot resolve counts as not there. */
function plainSecret(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && !/\$\{\w+\}/.test(value) ? value : undefined;
}
