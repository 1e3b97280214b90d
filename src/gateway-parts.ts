import type { AccessSettings, Activation, Meters, Pairings } from "./access/mod.ts";
import type { LedgerStore } from "./audit/mod.ts";
import type { InboundMessage, InboxRow, InboxStore, OutboxSender, OutboxStore } from "./delivery/mod.ts";
import type { Clock, Commit, Log, Random, Verdict } from "./kernel/mod.ts";
import type { Approvals } from "./policy/mod.ts";
import type { Lanes, Overheard, Runs, SessionSettings } from "./session/mod.ts";

/** What the message path is made of, up to the lane. */
export interface GatewayParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly commit: Commit;
  readonly inbox: InboxStore;
  readonly outbox: OutboxStore;
  readonly ledger: LedgerStore;
  readonly lanes: Lanes;
  readonly runs: Runs;
  readonly sender: OutboxSender;
  readonly approvals: Approvals;
  readonly pairings: Pairings;
  readonly accessSettings: (channel: string, account: string) => Promise<AccessSettings>;
  readonly meters: Meters;
  readonly activationOf: (message: InboundMessage) => Activation | undefined;
  readonly sessionSettings: () => SessionSettings;
  readonly overheard: Pick<Overheard, "note">;
  /** Takes one accepted message to its reply (turn.ts). */
  readonly turn: (row: InboxRow) => Promise<void>;
  readonly missed: {
    isTooOld(message: InboundMessage): boolean;
    ownerWrote(message: InboundMessage): void;
    noted(): void;
  };
  readonly pairingChanged: () => void;
  readonly channelTextLimit: (channel: string, account: string) => number;
  readonly fenceKey: string;
  readonly maxMessageChars: number;
  /** Whoever is kept to some agents sends to no other one. */
  readonly mayUseAgent: (author: string, agentId: string) => Verdict<undefined>;
  /** Keeps a control client's file until its message's turn; gives the reference to fetch it by. */
  readonly holdUpload: (messageId: string, index: number, bytes: Buffer) => Promise<string>;
  /** An accepted message: its sender may be shown at once that it was seen. */
  readonly acknowledge: (message: InboundMessage, row: InboxRow) => void;
  /** Told once: from now on turns that are cut off stay open on disk. */
  readonly letGo: () => void;
}
