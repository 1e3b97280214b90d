import type { ToolLimit } from "../access/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import type { Clock, Json, Log, Random } from "../kernel/mod.ts";
import type { TurnFacts } from "../policy/mod.ts";
import type { Commands, EnginePlaces, SendSignal } from "../sandbox/mod.ts";
import type { ApprovalsFile } from "./approvals-file.ts";
import type { Egress } from "./egress.ts";

/** What tools, their policy and their sandboxes are made of. */
export interface ToolPorts {
  readonly config: () => OpenClawConfig;
  readonly defaultWorkspace: string;
  readonly stateFolder: string;
  readonly approvals: ApprovalsFile;
  /** A standing rule let something through. */
  readonly ruleUsed: (id: string) => void;
  /** The model of a conversation's next turn, as the config names it. */
  readonly modelOf: (agentId: string, sessionKey: string) => TurnFacts["model"];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly timeZone: string | undefined;
  /** Tells this gateway's processes from those of gateways before it. */
  readonly instance?: string;
  /** False, or not said: conversations are not kept. */
  readonly keeps?: () => boolean;
  readonly sendSignal: SendSignal;
  /** Where engines of containers are looked for; absent: nowhere. */
  readonly engines?: EnginePlaces;
  /** The ways out of sandboxes. */
  readonly egress: Egress;
  /** Puts the outcome of a sandbox's proof on record. */
  readonly recordProof: (facts: Json, outcome: "ok" | "error") => Promise<void>;
  readonly agentWorkspace: (agentId: string) => string | undefined;
  readonly toolLimitsOf: (row: InboxRow) => Promise<readonly ToolLimit[]>;
  /** Commands of a session that run on other machines; absent: none do. */
  readonly commandsElsewhere?: (agentId: string, sessionKey: string) => Pick<Commands, "list" | "get">;
}
