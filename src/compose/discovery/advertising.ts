import { platform } from "node:os";
import type { OpenClawConfig } from "../../config/mod.ts";
import type { Clock, Log, Random } from "../../kernel/mod.ts";
import { type Listener, readMachine } from "../../network/mod.ts";
import { advertOf, mdnsMode } from "./advert.ts";
import type { Responder } from "./responder.ts";

/** Tells the local network of this gateway, where the config says so. */
export interface Advertising {
  /** Begins, or goes on as a changed config says; what was told before is taken back first. */
  apply(): Promise<void>;
  close(): Promise<void>;
}

export function createAdvertising(deps: {
  readonly config: () => OpenClawConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly listener: Listener;
  /** Where the gateway listens. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): Advertising {
  const { listener, clock, log } = deps;
  const label = `openclaw-${deps.random.bytes(3).toString("hex")}`;
  let told: "minimal" | "full" | "off" = "off";
  let responder: Responder | undefined;
  let working: Promise<void> = Promise.resolve();

  async function change(): Promise<void> {
    const machine = readMachine();
    const mode = mdnsMode(deps.config(), deps.env, {
      platform: platform(),
      inContainer: machine.inContainer,
    });
    if (mode === told) return;
    told = mode;
    await responder?.close();
    responder = undefined;
    if (mode === "off") return;
    const { port, certificateFingerprint } = listener;
    const { addresses, hostName } = machine;
    const facts = { port, hosts: deps.hosts, addresses, hostName, label, certificateFingerprint };
    const advert = advertOf(mode, facts, deps.env);
    if (!advert) return;
    try {
      const { startResponder } = await import("./responder.ts");
      responder = await startResponder({ advert, clock, log });
      log("info", "advertised on the local network", { mode, interfaces: advert.interfaces });
    } catch (error) {
      // A gateway that cannot be found by itself is reached by its address all the same.
      log("warn", "the gateway cannot be advertised on the local network", {
        error: (error as Error).message,
      });
    }
  }

  return {
    apply() {
      working = working.then(change);
      return working;
    },
    async close() {
      await working;
      await responder?.close();
    },
  };
}
