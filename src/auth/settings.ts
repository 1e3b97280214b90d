import type { OpenClawConfig } from "../config/mod.ts";
import { Secret } from "../kernel/mod.ts";
import type { PairingSettings } from "./device-pairing.ts";
import { trustedRanges } from "./trusted-ranges.ts";

export interface AuthSettings {
  readonly mode: "token" | "password" | "none" | "trusted-proxy";
  /** Undefined in mode none, and in mode trusted-proxy where no password is set for this machine itself. */
  readonly secret: Secret | undefined;
  readonly maxAttempts: number;
  readonly windowMs: number;
  readonly lockoutMs: number;
  readonly exemptLoopback: boolean;
}

/** `fallback` is the secret to use when the config and the environment name none (a token made at start). */
export function authSettings(
  config: OpenClawConfig,
  env: Readonly<Record<string, string | undefined>>,
  fallback: Secret,
): AuthSettings {
  const auth = config.gateway?.auth;
  const password = secretOf(auth?.password, env.OPENCLAW_GATEWAY_PASSWORD);
  const token = secretOf(auth?.token, env.OPENCLAW_GATEWAY_TOKEN);
  const mode = auth?.mode ?? (password ? "password" : "token");
  const limits = auth?.rateLimit;
  const secrets = {
    none: undefined,
    password: password ?? fallback,
    token: token ?? fallback,
    "trusted-proxy": password,
  };
  return Object.freeze({
    mode,
    secret: secrets[mode],
    maxAttempts: limits?.maxAttempts ?? 10,
    windowMs: limits?.windowMs ?? 60_000,
    lockoutMs: limits?.lockoutMs ?? 300_000,
    exemptLoopback: limits?.exemptLoopback ?? true,
  });
}

/** How devices may come in without a question. Throws an InputError for a range that is none. */
export function pairingSettings(config: OpenClawConfig): PairingSettings {
  const pairing = config.gateway?.nodes?.pairing;
  return Object.freeze({
    autoApproveLocal: pairing?.autoApproveLocal ?? true,
    isTrustedAddress: trustedRanges(pairing?.autoApproveCidrs ?? []),
  });
}

function secretOf(configured: unknown, fromEnv: string | undefined): Secret | undefined {
  const given = [configured, fromEnv].find((text) => typeof text === "string" && !standsForNothing(text));
  return typeof given === "string" ? new Secret(given) : undefined;
}

/** What scripts and templates leave behind when there is no secret: everybody would guess it (attack A-016). */
function standsForNothing(text: string): boolean {
  const plain = text.trim();
  return (
    plain === "" ||
    /^\$\{[A-Z_][A-Z0-9_]*\}$/.test(plain) ||
    /^(?:undefined|null|NaN|\[object Object\]|change-?me)$/i.test(plain)
  );
}
