/** What decides who may talk on one account of a channel. */
export interface AccessSettings {
  readonly enabled: boolean;
  readonly dmPolicy: "pairing" | "allowlist" | "open" | "disabled";
  /** Stable sender ids; "*" is everybody. Empty admits nobody. */
  readonly allowFrom: readonly string[];
  readonly groupPolicy: "allowlist" | "open" | "disabled";
  /** Senders admitted in groups; undefined falls back to allowFrom (never to pairings). */
  readonly groupAllowFrom: readonly string[] | undefined;
  /** By group id, or "*". */
  readonly groups: Readonly<Record<string, GroupSettings>>;
  /** Sender ids that are the owner: "telegram:123". */
  readonly owners: readonly string[];
}

export interface GroupSettings {
  readonly enabled?: boolean;
  readonly requireMention?: boolean;
  readonly allowFrom?: readonly string[];
}

/** Nobody may talk: what an account is without a config. */
export const closedAccess: AccessSettings = Object.freeze({
  enabled: false,
  dmPolicy: "disabled",
  allowFrom: [],
  groupPolicy: "disabled",
  groupAllowFrom: [],
  groups: {},
  owners: [],
});
