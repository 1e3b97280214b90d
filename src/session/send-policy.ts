import type { OpenClawConfig } from "../config/mod.ts";

/** Which conversations may be answered into their channel. The first rule that denies wins. */
export interface SendPolicy {
  readonly otherwise: "allow" | "deny";
  readonly rules: readonly SendRule[];
}

interface SendRule {
  readonly action: "allow" | "deny";
  readonly channel?: string;
  readonly chatType?: "direct" | "group" | "channel";
  readonly keyPrefix?: string;
}

type Section = NonNullable<NonNullable<OpenClawConfig["session"]>["sendPolicy"]>;

export function sendPolicyOf(section: Section | undefined): SendPolicy {
  return Object.freeze({
    otherwise: section?.default ?? "allow",
    rules: (section?.rules ?? []).map(({ action, match }) => {
      const chatType = match?.chatType === "room" ? "channel" : match?.chatType;
      const keyPrefix = match?.rawKeyPrefix ?? match?.keyPrefix;
      return {
        action,
        ...(match?.channel === undefined ? {} : { channel: match.channel }),
        ...(chatType === undefined ? {} : { chatType }),
        ...(keyPrefix === undefined ? {} : { keyPrefix }),
      };
    }),
  });
}

/** May a reply go out? With rules that allow and none that matches, what was not named is as `default` says. */
export function maySend(
  policy: SendPolicy,
  place: {
    readonly channel: string;
    readonly kind: "direct" | "group" | "channel";
    readonly sessionKey: string;
  },
): boolean {
  const matching = policy.rules.filter(
    (rule) =>
      (rule.channel === undefined || rule.channel === place.channel) &&
      (rule.chatType === undefined || rule.chatType === place.kind) &&
      (rule.keyPrefix === undefined || keyFits(place.sessionKey, rule.keyPrefix)),
  );
  if (matching.some((rule) => rule.action === "deny")) return false;
  return matching.length > 0 || policy.otherwise === "allow";
}

/** A prefix may be of the whole key, or of what follows `agent:<id>:`. */
function keyFits(sessionKey: string, prefix: string): boolean {
  return sessionKey.startsWith(prefix) || sessionKey.replace(/^agent:[^:]+:/, "").startsWith(prefix);
}
