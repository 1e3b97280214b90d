import type { Conversation, InboundMessage } from "../delivery/mod.ts";
import { admitted } from "../kernel/mod.ts";
import { type Admitted, decide } from "./decide.ts";
import { unused } from "./meters.ts";
import type { Facts, Step } from "./rules.ts";
import type { SenderList } from "./senders.ts";
import type { AccessSettings, Room } from "./settings.ts";
import type { SenderTools } from "./tool-limits.ts";

/** Somebody who may talk to an agent somewhere, and what let them. */
export interface Reach {
  /** The sender's id; undefined: anybody who is not named anywhere. */
  readonly sender: string | undefined;
  readonly kind: Conversation["kind"];
  /** The group; undefined: any group that is not named anywhere. For a direct chat the sender's own. */
  readonly chat: string | undefined;
  readonly threadId: string | undefined;
  readonly agentId: string;
  readonly who: Admitted;
  /** The agent hears it only when it is called. */
  readonly needsMention: boolean;
  /** The step that let the sender in. */
  readonly because: Step;
}

/**
 * Everybody who may talk on one account, found by asking {@link decide} for each sender that is named anywhere, and
 * for one who is not, in each place that is named, and in one that is not.
 */
export function reachable(
  settings: AccessSettings,
  paired: ReadonlySet<string>,
  agentFor: (message: InboundMessage) => string | undefined,
): readonly Reach[] {
  const found: Reach[] = [];
  const named = namedSenders(settings, paired);
  const stranger = strangerId(settings, named);
  const senders = stranger === undefined ? [...named] : [...named, stranger];
  for (const place of placesOf(settings)) {
    for (const sender of senders) {
      const message = messageOf(settings, sender, place);
      const agentId = agentFor(message);
      if (agentId === undefined) continue;
      const facts: Facts = { message, paired, agentId, command: undefined, use: unused };
      let because: Step | undefined;
      const verdict = decide(facts, settings, (step) => {
        if (step.rule === "sender") because = step;
      });
      if (!admitted(verdict) || !because) continue;
      found.push({
        sender: sender === stranger ? undefined : sender,
        kind: place.kind,
        chat: place.isNamed ? place.id : undefined,
        threadId: place.threadId,
        agentId,
        who: verdict.value,
        needsMention: !admitted(decide({ ...facts, message: { ...message, mentionsBot: false } }, settings)),
        because,
      });
    }
  }
  return found;
}

interface Place {
  readonly kind: Conversation["kind"];
  readonly id: string;
  readonly threadId: string | undefined;
  readonly isNamed: boolean;
}

function placesOf(settings: AccessSettings): readonly Place[] {
  const groups = [...settings.groups].filter(([id]) => id !== "*");
  const other = strangerGroups.find((id) => "id" in settings.ids.group(id) && !settings.groups.has(id));
  const place = (id: string, threadId?: string): Place => ({ kind: "group", id, threadId, isNamed: true });
  return [
    { kind: "direct", id: "", threadId: undefined, isNamed: false },
    ...groups.flatMap(([id, room]) => [
      place(id),
      ...[...room.topics.keys()].map((topic) => place(id, topic)),
    ]),
    ...(other === undefined ? [] : [{ ...place(other), isNamed: false }]),
  ];
}

function messageOf(settings: AccessSettings, sender: string, place: Place): InboundMessage {
  const { kind, id, threadId } = place;
  return {
    channel: settings.channel,
    account: settings.account,
    eventId: "",
    conversation: {
      kind,
      id: kind === "direct" ? sender : id,
      ...(threadId === undefined ? {} : { threadId }),
    },
    sender: { id: sender, proof: "platform" },
    text: "",
    messageId: "",
    mentionsBot: true,
    repliesToBot: false,
    isBot: false,
  };
}

/** Everybody whom any list, pairing or tool rule of the account names. */
function namedSenders(settings: AccessSettings, paired: ReadonlySet<string>): ReadonlySet<string> {
  const named = new Set(paired);
  const list = (senders: SenderList | undefined) => {
    for (const id of senders?.ids.keys() ?? []) named.add(id);
  };
  const tools = (bySender: SenderTools) => {
    for (const id of bySender.byId.keys()) named.add(id);
  };
  const rooms = (map: ReadonlyMap<string, Room>) => {
    for (const room of map.values()) {
      list(room.allowFrom);
      tools(room.toolsBySender);
      rooms(room.topics);
    }
  };
  list(settings.allowFrom);
  list(settings.groupAllowFrom);
  list(settings.owners);
  tools(settings.tools.bySender);
  for (const bySender of settings.tools.agents.values()) tools(bySender);
  rooms(settings.groups);
  rooms(settings.direct);
  for (const id of settings.direct.keys()) if (id !== "*") named.add(id);
  return named;
}

/** Ids in the forms of the platforms, of nobody in particular. */
const strangers = [
  "999999999999",
  "+999999999999",
  "U0STRANGER",
  "somebody@example.org",
  "somebody",
  "999999999999999999",
];
const strangerGroups = [
  "-999999999999",
  "999999999999999999",
  "C0STRANGER",
  "999999999999999999@g.us",
  "somewhere/else",
  "#somewhere",
  "somewhere",
];

function strangerId(settings: AccessSettings, named: ReadonlySet<string>): string | undefined {
  for (const text of strangers) {
    const read = settings.ids.sender(text);
    if ("id" in read && !named.has(read.id)) return read.id;
  }
  return undefined;
}
