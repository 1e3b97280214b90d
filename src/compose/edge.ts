import {
  createProxyCallers,
  type IdentitySettings,
  identitySettings,
  type Principal,
  type ProxyCallers,
  staysSignedIn,
} from "../auth/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import { type Clock, InputError, type Log, type Random } from "../kernel/mod.ts";
import { type Listener, readMachine } from "../network/mod.ts";
import type { HelperPrograms } from "../sandbox/mod.ts";
import { type Advertising, createAdvertising } from "./discovery/advertising.ts";
import { createTailscale, type TailscaleRoute } from "./tailscale.ts";

/** What stands in front of the gateway: proxies that say who is calling, and Tailscale. */
export interface Edge {
  readonly callers: ProxyCallers;
  /** The headers by which a trusted proxy may say who its caller is. */
  readonly identityHeaders: () => readonly string[];
  /** Takes a changed config over. Tells who of those that were signed in this way stays so. */
  apply(): (who: Pick<Principal, "method" | "user">) => boolean;
  /**
   * Makes the gateway reachable through Tailscale, and known to the local network, where the config says so. Throws an
   * InputError. `hosts` are the addresses that it listens on.
   */
  open(listener: Listener, hosts: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Throws an InputError for settings that cannot be acted on. */
export function composeEdge(deps: {
  readonly config: () => OpenClawConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fetch: typeof fetch;
  readonly helpers: HelperPrograms;
}): Edge {
  const { config, env, clock, random, log } = deps;
  let settings: IdentitySettings = identitySettings(config(), env);
  if (settings.problems.length > 0) throw new InputError(settings.problems.join("\n"));
  let trusted = trustedOf(config());
  const tailscale = createTailscale({ programs: deps.helpers, clock, log });
  let route: TailscaleRoute | undefined;
  let advertising: Advertising | undefined;

  return {
    callers: createProxyCallers({
      settings: () => settings,
      ownAddresses: () => readMachine().addresses,
      fetchText: (url) => fetchText(deps.fetch, url),
      whois: tailscale.whois,
      clock,
      log,
    }),
    identityHeaders: () => settings.headerNames,
    apply() {
      const before = settings;
      settings = identitySettings(config(), env);
      for (const text of [...settings.problems, ...settings.warnings]) log("warn", text);
      void advertising?.apply();
      const wasTrusted = trusted;
      trusted = trustedOf(config());
      return (who) => trusted === wasTrusted && staysSignedIn(before, settings, who);
    },
    async open(listener, hosts) {
      for (const text of settings.warnings) log("warn", text);
      const mode = config().gateway?.tailscale?.mode ?? "off";
      if (mode !== "off" && listener.tailscalePort !== undefined) {
        route = await tailscale.open(mode, listener.tailscalePort);
        log("info", "reachable through Tailscale", { url: route.url, mode });
      }
      advertising = createAdvertising({ config, env, listener, hosts, clock, random, log });
      // Not waited for: nobody needs to find a gateway before it answers.
      void advertising.apply();
    },
    async close() {
      await advertising?.close();
      await route?.close();
      const { mode = "off", resetOnExit = false } = config().gateway?.tailscale ?? {};
      if (!route || mode === "off" || !resetOnExit) return;
      const { code, stderr } = await deps.helpers.run("tailscale", [mode, "reset"], resetMs);
      if (code !== 0) log("warn", `tailscale ${mode} reset failed`, { code, said: stderr.slice(0, 300) });
    },
  };
}

const resetMs = 5000;
const fetchMs = 5000;
const maxKeySetBytes = 262_144;

/** Whose word counts. */
function trustedOf(config: OpenClawConfig): string {
  return JSON.stringify([config.gateway?.auth?.mode, config.gateway?.trustedProxies]);
}

/** The text at an https address itself: a redirect leads to where nobody configured. */
async function fetchText(fetch_: typeof fetch, url: string): Promise<string> {
  const response = await fetch_(url, {
    redirect: "error",
    signal: AbortSignal.timeout(fetchMs),
    headers: { accept: "application/json" },
  });
  if (!response.ok || !response.body) throw new Error(`${new URL(url).host} answered ${response.status}`);
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body) {
    size += piece.length;
    if (size > maxKeySetBytes) throw new Error(`${new URL(url).host} sent more than ${maxKeySetBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
