import { type Json, schema } from "../../kernel/mod.ts";
import { type Method, method } from "../method.ts";

const { boolean, integer, object, optional, string } = schema;

export interface ExportPage {
  readonly accounts: readonly string[];
  /** Each with its `kind`: message, session, entry, delivery, approval, attachment, file, pairing, record. */
  readonly items: readonly Json[];
  readonly total: number;
  /** Absent on the last page. */
  readonly nextCursor?: number;
}

/** What an erasure took out, or would. */
export interface ErasureReceipt {
  readonly accounts: readonly string[];
  /** Unix ms. */
  readonly at: number;
  /** False: the gateway knows nothing of this person, and nothing was changed. */
  readonly found: boolean;
  readonly dryRun: boolean;
  /** How many of each. */
  readonly removed: {
    readonly messages: number;
    readonly conversations: number;
    readonly conversationsWithOthers: number;
    readonly deliveries: number;
    readonly approvals: number;
    readonly pairings: number;
    readonly attachments: number;
    /** Files in which channels keep something of their own. */
    readonly channelState: number;
    readonly fileLabels: number;
    readonly recordRows: number;
  };
  /** Files of agents that are deleted with it. */
  readonly files: readonly string[];
  readonly left: readonly { readonly what: string; readonly why: string }[];
  /** The row of the record that says so. */
  readonly seq?: number;
  /** That row holds the digest: SHA-256 over the salt and the accounts, a line each. */
  readonly proof?: { readonly salt: string; readonly digest: string };
}

export interface PrivacyControl {
  export(peer: string, cursor: number): Promise<ExportPage>;
  erase(
    order: { readonly peer: string; readonly dryRun: boolean; readonly files: boolean },
    actor: string,
  ): Promise<ErasureReceipt>;
}

const peer = string({ minLength: 1, maxLength: 300 });

/** privacy.export, privacy.erase. */
export function privacyMethods(parts: PrivacyControl): Method[] {
  return [
    method({
      name: "privacy.export",
      scope: "operator.admin",
      params: object({ peer, cursor: optional(integer({ minimum: 0 })) }),
      admin: (params) => ({ action: "privacy.export", facts: { peer: params.peer } }),
      run: (params) => parts.export(params.peer, params.cursor ?? 0),
    }),
    method({
      name: "privacy.erase",
      scope: "operator.admin",
      params: object({ peer, dryRun: optional(boolean()), files: optional(boolean()) }),
      // Whose data it is must not be put on record by what takes it out of there.
      admin: (params) => ({
        action: params.dryRun ? "privacy.look" : "privacy.order",
        facts: { files: params.files ?? false },
      }),
      run: ({ peer, dryRun, files }, call) =>
        parts.erase({ peer, dryRun: dryRun ?? false, files: files ?? false }, call.principal.id),
    }),
  ];
}
