import { hash } from "node:crypto";
import { type Clock, type Random, Secret, token, uuid } from "../kernel/mod.ts";
import type { Scope } from "./scopes.ts";

/** What a new device gets by a setup code: a node always; an operator too, with these scopes, in the first two. */
export type SetupAccess = "full" | "limited" | "node";

export const setupScopes: Readonly<Record<SetupAccess, readonly Scope[]>> = {
  full: [
    "operator.admin",
    "operator.approvals",
    "operator.questions",
    "operator.read",
    "operator.talk.secrets",
    "operator.write",
  ],
  limited: ["operator.approvals", "operator.questions", "operator.read", "operator.write"],
  node: [],
};

export interface SetupCode {
  readonly setupId: string;
  readonly access: SetupAccess;
  readonly expiresAtMs: number;
}

export interface SetupCompletion {
  readonly setupId: string;
  readonly deviceId: string;
  readonly deviceName?: string;
  readonly access: SetupAccess;
  readonly ts: number;
}

/** Bootstrap tokens: each lets one new device in, once, within ten minutes. */
export interface SetupCodes {
  issue(access: SetupAccess): SetupCode & { readonly token: Secret };
  /** The unused code of this token. */
  find(candidate: string): SetupCode | undefined;
  /** True at most once per code; from then on it is worth nothing. */
  take(code: SetupCode): boolean;
  /** Notes how it ended: `completed` false means that the device may or may not have got its tokens. */
  settle(
    code: SetupCode,
    deviceId: string,
    deviceName: string | undefined,
    completed: boolean,
  ): SetupCompletion;
  /** From now on no code that was issued so far is worth anything. */
  revokeAll(): void;
  status(setupId: string): {
    readonly completion?: SetupCompletion;
    readonly deliveryUncertain?: SetupCompletion;
  };
}

const lifetimeMs = 10 * 60 * 1000;
const maxCodes = 32;

export function createSetupCodes(ports: { readonly clock: Clock; readonly random: Random }): SetupCodes {
  // In memory only, by hash: a code that was shown before a restart is worth nothing after it.
  const codes = new Map<string, SetupCode & { readonly endsAt: number }>();
  const ended = new Map<string, { readonly result: SetupCompletion; readonly completed: boolean }>();

  return {
    issue(access) {
      const now = ports.clock.monotonic();
      for (const [key, code] of codes) if (code.endsAt <= now) codes.delete(key);
      if (codes.size >= maxCodes) codes.delete(codes.keys().next().value as string);
      const value = token(ports.random);
      const code = {
        setupId: uuid(ports.random),
        access,
        expiresAtMs: ports.clock.now() + lifetimeMs,
        endsAt: now + lifetimeMs,
      };
      codes.set(hash("sha256", value), code);
      return { ...code, token: new Secret(value) };
    },
    find(candidate) {
      // Looked up by hash, so the time it takes tells nothing about how much of a guess was right.
      const code = codes.get(hash("sha256", candidate));
      return code && code.endsAt > ports.clock.monotonic() ? code : undefined;
    },
    take(code) {
      for (const [key, item] of codes) {
        if (item.setupId !== code.setupId) continue;
        codes.delete(key);
        return item.endsAt > ports.clock.monotonic();
      }
      return false;
    },
    settle(code, deviceId, deviceName, completed) {
      const result: SetupCompletion = {
        setupId: code.setupId,
        deviceId,
        ...(deviceName === undefined ? {} : { deviceName }),
        access: code.access,
        ts: ports.clock.now(),
      };
      if (ended.size >= maxCodes) ended.delete(ended.keys().next().value as string);
      ended.set(code.setupId, { result, completed });
      return result;
    },
    revokeAll: () => codes.clear(),
    status(setupId) {
      const found = ended.get(setupId);
      if (!found) return {};
      return found.completed ? { completion: found.result } : { deliveryUncertain: found.result };
    },
  };
}
