import { createPrivateKey, hash, X509Certificate } from "node:crypto";
import { constants, readdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import { type Clock, InputError, type Json, type Log, type Random } from "../kernel/mod.ts";
import { type CertificatePair, issueCertificate, makeAuthority } from "../network/mod.ts";
import { addressVerdict } from "../policy/mod.ts";
import type { EgressDoor, EgressEvent, EgressProxy, EgressRule } from "../sandbox/mod.ts";
import { ensureFolder, writeFileAtomic } from "../store/mod.ts";

const dayMs = 86_400_000;
const authorityDays = 3650;
const leafDays = 7;
/** A leaf is made anew before a long request could outlive it. */
const leafSlackMs = dayMs;
const maxLeaves = 256;
/** Of a unix socket's path, with its final NUL, on Linux. */
const maxSocketPathBytes = 107;

/** The proxies of sandboxes with egress, each on a socket of its own in the state folder. */
export interface Egress {
  /** The door of one sandbox, opened once for its rules. Rejects with an InputError where there can be none. */
  open(place: EgressPlace): Promise<EgressDoor>;
  /** Closes every door: what still runs behind one reaches nothing any more. */
  closeAll(): Promise<void>;
}

export interface EgressPlace {
  readonly sandbox: string;
  /** Where one conversation has the sandbox for itself: what is on record of it goes with it. */
  readonly sessionKey?: string;
  readonly rules: readonly EgressRule[];
}

/** For what decides and runs nothing: no sandbox of it gets out. */
export const noEgress: Egress = Object.freeze({
  open: () => Promise.reject(new InputError("There is no egress here.")),
  closeAll: async () => {},
});

export function createEgress(ports: {
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly redact: (text: string) => string;
  /** False: nothing of a conversation stays on disk, so no path either. */
  readonly keepsConversations: () => boolean;
  readonly record: (
    kind: "verdict" | "effect.end",
    outcome: string,
    facts: Json,
    sessionKey: string | undefined,
  ) => Promise<void>;
}): Egress {
  const folder = join(ports.stateFolder, "egress");
  const doors = new Map<string, Promise<{ readonly door: EgressDoor; readonly proxy: EgressProxy }>>();
  const leaves = new Map<string, CertificatePair & { readonly untilMs: number }>();
  let trust: Promise<Trust> | undefined;

  /** Made or read when the first sandbox needs it; tried again after a failure. */
  function loadTrust(): Promise<Trust> {
    trust ??= openTrust(folder, ports);
    trust.catch(() => {
      trust = undefined;
    });
    return trust;
  }

  function issue(authority: CertificatePair, host: string): CertificatePair {
    const known = leaves.get(host);
    if (known && known.untilMs > ports.clock.now()) return known;
    const now = ports.clock.now();
    const pair = issueCertificate(authority, {
      host,
      notBeforeMs: now - dayMs,
      notAfterMs: now + leafDays * dayMs,
      random: ports.random,
    });
    leaves.delete(host);
    const [oldest] = leaves.keys();
    if (leaves.size >= maxLeaves && oldest !== undefined) leaves.delete(oldest);
    leaves.set(host, { ...pair, untilMs: now + leafDays * dayMs - leafSlackMs });
    return pair;
  }

  async function make(place: EgressPlace) {
    const socketFile = join(folder, `${ports.random.bytes(8).toString("hex")}.sock`);
    if (Buffer.byteLength(socketFile) > maxSocketPathBytes)
      throw new InputError(`The path of the state folder is too long for a socket in it: ${socketFile}.`);
    const { authority, roots } = await loadTrust();
    const { openEgressProxy, defaultEgressLimits, systemResolve } = await import("../sandbox/mod.ts");
    const proxy = await openEgressProxy(
      {
        clock: ports.clock,
        log: ports.log,
        limits: defaultEgressLimits,
        resolve: systemResolve,
        addressVerdict,
        issue: (host) => issue(authority, host),
        roots,
        record: (event) => record(place, event),
      },
      socketFile,
      place.rules,
    );
    return { proxy, door: { socketFile, rootsFile: rootsFileOf(folder) } };
  }

  function record({ sandbox, sessionKey }: EgressPlace, event: EgressEvent): Promise<void> {
    const { kind, outcome, path, end, why, ...facts } = event;
    const told = {
      ...facts,
      sandbox,
      ...(path === undefined || !ports.keepsConversations() ? {} : { path: ports.redact(path) }),
      ...(why === undefined ? {} : { why: ports.redact(why) }),
      ...(end === undefined ? {} : { end: { ...end } }),
    };
    return ports.record(kind === "end" ? "effect.end" : "verdict", outcome, told, sessionKey);
  }

  return {
    async open(place) {
      const key = JSON.stringify([place.sandbox, place.sessionKey, rulesKey(place.rules)]);
      let opened = doors.get(key);
      if (!opened) {
        opened = make(place);
        doors.set(key, opened);
        opened.catch(() => doors.delete(key));
      }
      return (await opened).door;
    },
    async closeAll() {
      const closing = [...doors.values()];
      doors.clear();
      await Promise.all(closing.map((opened) => opened.then(({ proxy }) => proxy.close()).catch(() => {})));
    },
  };
}

/**
 * Tells rules apart, also those that differ in nothing but the credential: agents who share a sandbox share no door by
 * mistake. Stays in memory.
 */
export function rulesKey(rules: readonly EgressRule[]): string {
  return hash("sha256", JSON.stringify([rules, rules.map(({ inject }) => inject?.value.reveal())]));
}

/** Credentials of tools and sandboxes, for whoever hides secrets. */
export function toolSecrets(config: OpenClawConfig): readonly string[] {
  const { defaults, entries, list } = config.agents ?? {};
  const rules = [defaults, ...Object.values(entries ?? {}), ...(list ?? [])].flatMap(
    (agent) => agent?.sandbox?.egress ?? [],
  );
  const found = [...rules.map((rule) => rule.inject?.value), config.tools?.web?.search?.apiKey];
  return found.flatMap((value) => {
    if (typeof value !== "string" || value === "") return [];
    // "Bearer x": what a server repeats may be the second word alone.
    return [value, ...(/^[A-Za-z]{1,20} (\S{8,})$/.exec(value)?.slice(1) ?? [])];
  });
}

interface Trust {
  readonly authority: CertificatePair;
  /** The system's, by which upstreams are checked. PEM. */
  readonly roots: readonly string[];
}

const rootsFileOf = (folder: string) => join(folder, "roots.pem");

async function openTrust(
  folder: string,
  ports: { readonly clock: Clock; readonly random: Random; readonly log: Log },
): Promise<Trust> {
  await ensureFolder(folder);
  // What a gateway that was killed left behind: the state folder is this one's alone.
  for (const name of readdirSync(folder)) if (name.endsWith(".sock")) rmSync(join(folder, name));
  const files = { cert: join(folder, "authority.pem"), key: join(folder, "authority-key.pem") };
  const now = ports.clock.now();
  const [cert, key] = [await readIfThere(files.cert), await readIfThere(files.key)];
  let authority =
    cert !== undefined && key !== undefined && isUsable({ cert, key }, now) ? { cert, key } : undefined;
  if (!authority) {
    // Nobody but sandboxes trusts it, and they are shown the new one: unlike the gateway's own, it can be replaced.
    authority = makeAuthority({
      notBeforeMs: now - dayMs,
      notAfterMs: now + authorityDays * dayMs,
      random: ports.random,
    });
    await writeFileAtomic(files.key, authority.key);
    await writeFileAtomic(files.cert, authority.cert);
    ports.log("info", "a certificate authority for the egress of sandboxes was made", { file: files.cert });
  }
  const { getCACertificates } = await import("node:tls");
  // The system's folder holds each under several names.
  const system = [...new Set(getCACertificates("system"))];
  const roots = system.length > 0 ? system : getCACertificates("default");
  await writeFileAtomic(
    rootsFileOf(folder),
    [...roots, authority.cert].map((pem) => `${pem.trim()}\n`).join(""),
  );
  return { authority, roots };
}

function isUsable({ cert, key }: CertificatePair, nowMs: number): boolean {
  try {
    const parsed = new X509Certificate(cert);
    const lastsMs = Date.parse(parsed.validTo) - nowMs;
    return parsed.ca && parsed.checkPrivateKey(createPrivateKey(key)) && lastsMs > (leafDays + 1) * dayMs;
  } catch {
    return false;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return await handle.readFile("utf8");
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new InputError(`${path} cannot be read (${(error as Error).message}). Mend or remove it.`);
  }
}
