import { type Clock, InputError, type Log, sleep } from "../kernel/mod.ts";
import type { HelperPrograms, RunningHelper } from "../sandbox/mod.ts";

/** The `tailscale` command, as far as the gateway needs it. */
export interface Tailscale {
  /** The login behind an address of the tailnet; undefined when there is none. Rejects when it cannot be asked. */
  whois(address: string): Promise<string | undefined>;
  /**
   * Lets the tailnet (serve) or the internet (funnel) reach a port of this machine, until it is closed. Resolves when
   * tailscaled says that it does; throws an InputError that says what to do.
   */
  open(mode: "serve" | "funnel", port: number): Promise<TailscaleRoute>;
}

export interface TailscaleRoute {
  /** https://machine.tailnet.ts.net/ */
  readonly url: string;
  close(): Promise<void>;
}

const askMs = 10_000;
/** tailscaled may still be connecting when the machine starts. */
const daemonMs = 90_000;
const routeMs = 20_000;
const lookAgainMs = 250;
const reopenMs = 5000;

export function createTailscale(deps: {
  readonly programs: HelperPrograms;
  readonly clock: Clock;
  readonly log: Log;
}): Tailscale {
  const { programs, clock, log } = deps;

  async function ask(args: readonly string[]): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await programs.run("tailscale", args, askMs);
    if (code !== 0)
      throw new Error(`tailscale ${args[0]} failed (${code ?? "no answer"}): ${firstLine(stderr)}`);
    const value: unknown = JSON.parse(stdout);
    if (typeof value !== "object" || value === null) throw new Error(`tailscale ${args[0]} gave no object`);
    return value as Record<string, unknown>;
  }

  /** Throws unless tailscaled is connected. */
  async function waitForDaemon(): Promise<void> {
    const until = clock.monotonic() + daemonMs;
    for (;;) {
      const { BackendState: state } = await ask(["status", "--json"]);
      if (state === "Running") return;
      const isOnItsWay = state === "NoState" || state === "Starting";
      if (!isOnItsWay || clock.monotonic() >= until)
        throw new Error(`Tailscale is not connected (${String(state)}); run: tailscale up`);
      await sleep(clock, 1000);
    }
  }

  /** Starts the command that holds the route, and resolves when the route is there. */
  async function claim(
    mode: "serve" | "funnel",
    port: number,
  ): Promise<{ helper: RunningHelper; url: string }> {
    await waitForDaemon();
    const target = `http://127.0.0.1:${port}`;
    // In the foreground: the route ends with this command, and the command with the gateway.
    const helper = await programs.start("tailscale", [mode, "--https=443", target]);
    let output: { readonly stdout: string; readonly stderr: string } | undefined;
    void helper.ended.then((ended) => {
      output = ended;
    });
    try {
      const until = clock.monotonic() + routeMs;
      while (output === undefined && clock.monotonic() < until) {
        const found = routeOf(await ask(["serve", "status", "--json"]), target);
        if (found) {
          if (found.isPublic !== (mode === "funnel"))
            throw new Error(
              found.isPublic
                ? `Tailscale opens ${found.host} to the internet (funnel), though only serve was asked for; run: tailscale funnel reset`
                : `Tailscale serves ${found.host} to the tailnet only; allow Funnel for this machine in the tailnet's policy`,
            );
          return { helper, url: `https://${found.host.replace(/:443$/, "")}/` };
        }
        await sleep(clock, lookAgainMs);
      }
      const { stdout, stderr } = output ?? {
        stdout: "",
        stderr: "it did not take effect; is HTTPS enabled for the tailnet?",
      };
      throw new Error(
        `tailscale ${mode}: ${firstLine(stderr) || firstLine(stdout) || "it ended without a word"}`,
      );
    } catch (error) {
      helper.stop();
      await helper.ended;
      throw error;
    }
  }

  return {
    async whois(address) {
      const { UserProfile: profile } = await ask(["whois", "--json", address]);
      const login = (profile as { readonly LoginName?: unknown } | undefined)?.LoginName;
      // All tagged machines share this one, so it is nobody's.
      return typeof login === "string" && login !== "" && login !== "tagged-devices" ? login : undefined;
    },
    async open(mode, port) {
      let claimed = await claim(mode, port).catch((error: Error) => {
        throw new InputError(`gateway.tailscale.mode is "${mode}", but ${error.message}`);
      });
      const closing = new AbortController();
      void hold();

      /** Takes the route again when it is lost, as when tailscaled was restarted. */
      async function hold(): Promise<void> {
        for (;;) {
          await claimed.helper.ended;
          if (closing.signal.aborted) return;
          log("error", "the route through Tailscale was lost; it is taken again");
          for (let held = false; !held; ) {
            await sleep(clock, reopenMs, closing.signal);
            if (closing.signal.aborted) return;
            held = await claim(mode, port).then(
              (again) => {
                claimed = again;
                return true;
              },
              (error: Error) => {
                log("error", "the route through Tailscale could not be taken", { error: error.message });
                return false;
              },
            );
          }
          if (closing.signal.aborted) claimed.helper.stop();
        }
      }

      return {
        get url() {
          return claimed.url;
        },
        async close() {
          closing.abort();
          claimed.helper.stop();
          await claimed.helper.ended;
        },
      };
    },
  };
}

/** The route to `target` in what `tailscale serve status --json` prints: its own, and those of running commands. */
function routeOf(
  status: Record<string, unknown>,
  target: string,
): { readonly host: string; readonly isPublic: boolean } | undefined {
  const running = Object.values((status.Foreground ?? {}) as Record<string, unknown>);
  for (const config of [status, ...running] as ServeConfig[]) {
    for (const [host, web] of Object.entries(config.Web ?? {})) {
      if (web.Handlers?.["/"]?.Proxy !== target) continue;
      const isPublic = [status as ServeConfig, config].some((item) => item.AllowFunnel?.[host] === true);
      return { host, isPublic };
    }
  }
  return undefined;
}

interface ServeConfig {
  readonly Web?: Readonly<
    Record<string, { readonly Handlers?: Readonly<Record<string, { readonly Proxy?: string }>> }>
  >;
  readonly AllowFunnel?: Readonly<Record<string, boolean>>;
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0]?.slice(0, 300) ?? "";
}
