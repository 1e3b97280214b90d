import { createLockout } from "../../auth/mod.ts";
import type { Reason } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpHead } from "../../network/mod.ts";
import { tooMany } from "./authenticate.ts";
import { later, problem, problemType } from "./hook-answers.ts";
import type { ApiParts } from "./parts.ts";
import type { ApiSettings } from "./settings.ts";

const maxKnownSenders = 1000;

/** Writes down that somebody was turned away. */
export type Refused = (reason: Reason, address: string, path: string) => Promise<void>;

/** Lets in whoever has the hook token. Undefined: the request may be read. */
export function createHookCheck(
  parts: Pick<ApiParts, "clock" | "isReady">,
  settings: () => ApiSettings,
  refused: Refused,
): (head: HttpHead) => Promise<HttpAnswer | undefined> {
  const lockout = createLockout(parts.clock, () => ({
    maxAttempts: 20,
    windowMs: 60_000,
    lockoutMs: 60_000,
    exemptLoopback: false,
  }));
  const knownSenders = new Set<string>();

  async function check(head: HttpHead): Promise<HttpAnswer | undefined> {
    const hooks = settings().hooks;
    if (!hooks || !head.arrival) return problem(404, "hooks are turned off");
    if (!parts.isReady()) return later("the gateway is starting or stopping");
    if (new URLSearchParams(head.query).has("token")) {
      return problem(400, "send the token as Authorization: Bearer or x-openclaw-token, never in the URL");
    }
    const { address } = head.arrival;
    const given = tokenOf(head);
    const isRight = given !== "" && hooks.token.equals(given);
    const lockedForMs = lockout.lockedForMs(address, false);
    // A stranger who fails from an address must not lock out the sender that is known to be there (attack A-244).
    if (lockedForMs > 0 && !(isRight && knownSenders.has(address))) return tooMany(lockedForMs);
    if (!isRight) {
      const reason: Reason = given === "" ? "auth.secret_missing" : "auth.secret_mismatch";
      if (given !== "") {
        lockout.fail(address, false);
        await refused(reason, address, head.path);
      }
      return {
        ...problem(401, "the hook token is missing or wrong"),
        headers: { ...problemType, "www-authenticate": 'Bearer realm="openclaw-hooks"' },
      };
    }
    lockout.succeed(address);
    if (knownSenders.size >= maxKnownSenders) knownSenders.clear();
    knownSenders.add(address);
    return undefined;
  }

  return check;
}

export function tokenOf(head: HttpHead): string {
  const bearer = /^Bearer +(\S+) *$/i.exec(head.headers.authorization ?? "")?.[1];
  return bearer ?? head.headers["x-openclaw-token"] ?? "";
}
