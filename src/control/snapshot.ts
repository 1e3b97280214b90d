import type { Principal } from "../auth/mod.ts";
import type { Cancel } from "../kernel/mod.ts";
import type { HealthReports } from "./health.ts";
import type { ControlParts } from "./parts.ts";
import type { PresenceEntry } from "./presence.ts";
import type { StateVersion } from "./protocol.ts";

/** What a client is told at its connect and kept up to date about: who is here, and how the gateway is. */
export interface Snapshots {
  /** The snapshot of hello-ok, as far as this caller may see it. */
  of(principal: Principal): Readonly<Record<string, unknown>>;
  presence(): readonly PresenceEntry[];
  /** Tells everybody; who may not read learns only that there is an answer. */
  healthChanged(): void;
  /** Tells the readers, for all changes of a moment together. */
  presenceChanged(): void;
  /** Nobody is told any more: what would be asked for it is being closed. */
  close(): void;
}

/** Of so many devices clients see at most these, so that a crowd that connects does not make a list per member. */
const maxPresence = 200;
const gatherMs = 100;

export function createSnapshots(parts: ControlParts, health: HealthReports): Snapshots {
  const { clock, hub } = parts;
  const waiting = new Set<Cancel>();
  let closed = false;
  let versions: StateVersion = { presence: 1, health: 0 };

  /** Does it once for all calls of a moment: a crowd that comes, or somebody who probes in a loop, is told of once. */
  function gathered(action: () => void): () => void {
    let waits = false;
    return () => {
      if (waits || closed) return;
      waits = true;
      const cancel = clock.after(gatherMs, () => {
        waiting.delete(cancel);
        waits = false;
        action();
      });
      waiting.add(cancel);
    };
  }

  const tellHealth = gathered(() => {
    hub.send("health", { kind: "readers" }, health.full(), versions);
    hub.send("health", { kind: "others" }, health.reduced(), versions);
  });
  const tellPresence = gathered(() => {
    if (hub.wanted({ kind: "readers" }))
      hub.send("presence", { kind: "readers" }, { presence: presence() }, versions);
  });

  function presence(): readonly PresenceEntry[] {
    const entries: PresenceEntry[] = [
      {
        ts: parts.startedAtMs,
        mode: "gateway",
        reason: "self",
        version: parts.version,
        text: `Gateway ${parts.version}`,
      },
    ];
    for (const { presence: entry } of hub.all()) {
      if (entry === undefined) continue;
      if (entries.length > maxPresence) break;
      entries.push(entry);
    }
    return entries;
  }

  return {
    close() {
      closed = true;
      for (const cancel of waiting) cancel();
    },
    of(principal) {
      const mayRead = hub.mayRead(principal);
      const { defaultAgentId } = parts.sessionSettings();
      return {
        presence: mayRead ? presence() : [],
        health: mayRead ? health.forHello() : health.reduced(),
        stateVersion: versions,
        uptimeMs: clock.now() - parts.startedAtMs,
        ...(mayRead
          ? {
              sessionDefaults: {
                defaultAgentId,
                modelConfigured: parts.modelChoice(defaultAgentId, undefined).provider !== "demo",
                mainKey: "main",
                mainSessionKey: `agent:${defaultAgentId}:main`,
                scope: "per-sender",
              },
            }
          : {}),
        ...(hub.mayAdminister(principal) ? parts.whereabouts() : {}),
      };
    },
    presence,
    healthChanged() {
      versions = { ...versions, health: versions.health + 1 };
      tellHealth();
    },
    presenceChanged() {
      versions = { ...versions, presence: versions.presence + 1 };
      tellPresence();
    },
  };
}
