import type { LedgerStore } from "./audit/mod.ts";
import type {
  ApiTokens,
  AuthSettings,
  BrowserSessions,
  Devices,
  Lockout,
  Principal,
  ProxyCallers,
  SetupCodes,
} from "./auth/mod.ts";
import type { Administration, ConnectParams, Hub, Method, MethodReach, Subscriber } from "./control/mod.ts";
import type { Clock, Commit, Log, Random } from "./kernel/mod.ts";

/** What the operator path is made of. */
export interface OperatorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly commit: Commit;
  readonly ledger: LedgerStore;
  readonly hub: Hub;
  readonly lockout: Lockout;
  readonly browserSessions: BrowserSessions;
  readonly devices: Devices;
  readonly setupCodes: SetupCodes;
  readonly apiTokens: Pick<ApiTokens, "find" | "stands">;
  readonly reach: MethodReach;
  readonly administration: Administration;
  readonly authSettings: () => AuthSettings;
  readonly callers: ProxyCallers;
  readonly methods: ReadonlyMap<string, Method>;
  readonly handshakeTimeoutMs: number;
  /** True once everything that a client may ask for is there. */
  readonly isReady: () => boolean;
  readonly version: string;
  /** The parts of hello-ok that depend on the caller's scopes. */
  readonly snapshot: (principal: Principal) => Readonly<Record<string, unknown>>;
  /** A device came or went. */
  readonly presenceChanged: () => void;
  /** A node came, with what it says that it can do, or went. */
  readonly nodeCame: (node: Subscriber, declared: ConnectParams) => void;
  readonly nodeWent: (node: Subscriber) => void;
}
