import type { Limits, Principal } from "../auth/mod.ts";
import type { Socket } from "../network/mod.ts";
import type { PresenceEntry } from "./presence.ts";
import type { EventName, StateVersion } from "./protocol.ts";

/** An authenticated connection, as the events see it. */
export interface Subscriber {
  readonly id: string;
  readonly socket: Socket;
  readonly principal: Principal;
  readonly caps: ReadonlySet<string>;
  /** Where it comes from, as limits count it (Arrival.limitKey). */
  readonly limitKey: string;
  /** Where it comes from and what it says it is, for the record: an address, "cli/cli". */
  readonly address: string;
  readonly client: string;
  /** How others see it; undefined for a connection without a device. */
  readonly presence: PresenceEntry | undefined;
  /** Sessions whose messages it follows; and whether it follows the list. */
  readonly followed: Set<string>;
  followsList: boolean;
  /** Of the last event that it got; the next one is one higher, without gaps. */
  seq: number;
}

/** Who may get an event; the default for anything that is not named here is nobody. */
export type Audience =
  | { readonly kind: "everybody" }
  | { readonly kind: "readers" }
  /** Everybody but the readers. */
  | { readonly kind: "others" }
  | { readonly kind: "listFollowers" }
  | { readonly kind: "followers"; readonly sessionKey: string }
  | { readonly kind: "approvers" }
  /** Whoever answers questions; said apart, since what tells of an answer does not say which agent it is about. */
  | { readonly kind: "questioned"; readonly agentId: string }
  | { readonly kind: "pairing" }
  /** Like `pairing`, but for a device that signed in with its own token and is no admin only when it is this one. */
  | { readonly kind: "devicePairing"; readonly deviceId: string };

/** Hands events to the connections that may see them. */
export interface Hub {
  add(subscriber: Subscriber): void;
  remove(subscriber: Subscriber): void;
  readonly size: number;
  /** A node reads nothing, whatever scopes it was given. */
  mayRead(principal: Principal): boolean;
  mayAdminister(principal: Principal): boolean;
  all(): Iterable<Subscriber>;
  /** True when somebody would get it: spares making a payload for nobody. */
  wanted(audience: Audience): boolean;
  send(event: EventName, audience: Audience, payload: unknown, stateVersion?: StateVersion): void;
}

/** Figures that come again soon: a reader that lags behind goes without them, instead of lagging further. */
const droppable: ReadonlySet<EventName> = new Set(["node.hostStats"]);
const slowBytes = 1_048_576;

export function createHub(
  holds: (
    granted: readonly string[],
    needed:
      | "operator.read"
      | "operator.admin"
      | "operator.approvals"
      | "operator.pairing"
      | "operator.questions",
  ) => boolean,
  mayHear: (
    limits: Limits,
    event: { readonly name: string; readonly agentId: string | undefined },
  ) => boolean,
): Hub {
  const subscribers = new Set<Subscriber>();
  const mayRead = ({ role, scopes }: Principal) => role === "operator" && holds(scopes, "operator.read");

  function sees(subscriber: Subscriber, audience: Audience): boolean {
    const { role, scopes } = subscriber.principal;
    if (audience.kind === "everybody") return true;
    if (audience.kind === "others") return !mayRead(subscriber.principal);
    // Whatever scopes it was given: the rest is for operators.
    if (role !== "operator") return false;
    switch (audience.kind) {
      case "readers":
        return mayRead(subscriber.principal);
      case "listFollowers":
        return subscriber.followsList && mayRead(subscriber.principal);
      case "followers":
        return (
          (subscriber.followed.has(audience.sessionKey) || subscriber.followsList) &&
          mayRead(subscriber.principal)
        );
      case "approvers":
        return (
          holds(scopes, "operator.approvals") &&
          (subscriber.caps.has("approvals") || subscriber.caps.has("exec-approvals"))
        );
      case "questioned":
        return holds(scopes, "operator.questions");
      case "pairing":
        return holds(scopes, "operator.pairing");
      case "devicePairing":
        return (
          holds(scopes, "operator.pairing") &&
          (subscriber.principal.method !== "device-token" ||
            subscriber.principal.deviceId === audience.deviceId ||
            holds(scopes, "operator.admin"))
        );
      default:
        return false;
    }
  }

  return {
    add: (subscriber) => void subscribers.add(subscriber),
    remove: (subscriber) => void subscribers.delete(subscriber),
    get size() {
      return subscribers.size;
    },
    mayRead,
    mayAdminister: ({ role, scopes }) => role === "operator" && holds(scopes, "operator.admin"),
    all: () => subscribers,
    wanted(audience) {
      for (const subscriber of subscribers) if (sees(subscriber, audience)) return true;
      return false;
    },
    send(event, audience, payload, stateVersion) {
      let head: string | undefined;
      let about: { readonly name: string; readonly agentId: string | undefined } | undefined;
      const tail = stateVersion ? `,"stateVersion":${JSON.stringify(stateVersion)}}` : "}";
      for (const subscriber of subscribers) {
        if (!sees(subscriber, audience)) continue;
        about ??= {
          name: event,
          agentId: audience.kind === "questioned" ? audience.agentId : agentOf(payload),
        };
        if (!mayHear(subscriber.principal.limits, about)) continue;
        // Before it is numbered, so that the numbers have no gap.
        if (droppable.has(event) && subscriber.socket.bufferedBytes > slowBytes) continue;
        // Made once, however many get it: only the number differs.
        head ??= `{"type":"event","event":"${event}","payload":${JSON.stringify(payload)},"seq":`;
        subscriber.seq += 1;
        subscriber.socket.send(`${head}${subscriber.seq}${tail}`);
      }
    },
  };
}

/** The agent that an event is about, as its payload says it. */
function agentOf(payload: unknown): string | undefined {
  const { agentId, sessionKey } = payload as { readonly agentId?: unknown; readonly sessionKey?: unknown };
  if (typeof agentId === "string") return agentId;
  return typeof sessionKey === "string" ? /^agent:([^:]+):/.exec(sessionKey)?.[1] : undefined;
}
