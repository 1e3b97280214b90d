import type { InboundMessage, InboxRow, OutboxRow, OutboxSender, ReplyTo } from "../delivery/mod.ts";
import { replyRows } from "../delivery/mod.ts";
import { type Clock, type Log, type Random, uuid } from "../kernel/mod.ts";
import type { Store } from "../store/mod.ts";

/**
 * Messages that came to the platform while the gateway was away for long. They are not answered in a flood hours
 * later; the owner is told once, in the direct chat that the owner used last, who wrote and when.
 */
export interface MissedMessages {
  /** Was it written so long before the channel came back that an answer now would be out of place? */
  isTooOld(message: InboundMessage): boolean;
  /** The owner wrote in a direct chat: that is where the owner is told. */
  ownerWrote(message: InboundMessage): void;
  /** One more was set aside; also called at start, for those that nobody was told of. */
  noted(): void;
  close(): void;
}

/** Without another one, the owner is told. */
const quietMs = 2000;
const routeKey = "missed:ownerRoute";
const toldKey = "missed:toldUntil";
const maxPeople = 20;

interface OwnerRoute {
  readonly channel: string;
  readonly account: string;
  readonly reply: ReplyTo;
}

export function createMissedMessages(ports: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly sender: () => OutboxSender;
  readonly textLimit: (channel: string, account: string) => number;
  /** Zero answers everything, however old. */
  readonly maxAgeMs: () => number;
  /** Unix ms since when the account is connected without a break; undefined while it is not. */
  readonly connectedSince: (channel: string, account: string) => number | undefined;
}): MissedMessages {
  const { store, clock, log } = ports;
  let route = store.meta.get(routeKey);
  let cancel = () => {};

  function tell(): void {
    const toldUntil = Number(store.meta.get(toldKey) ?? 0);
    const rows = store.inbox.missed(toldUntil);
    const last = rows.at(-1);
    if (!last) return;
    if (route === undefined) {
      log("warn", "messages that came in while the gateway was away were not answered", {
        count: rows.length,
      });
      return;
    }
    const to = JSON.parse(route) as OwnerRoute;
    const notices = noticeRows(rows, to);
    void store
      .commit([...notices.map(store.outbox.insert), store.meta.put(toldKey, String(last.updatedAt))])
      .then(() => ports.sender().offer(notices))
      .catch((error) =>
        log("warn", "the owner could not be told of missed messages yet", {
          error: (error as Error).message,
        }),
      );
  }

  function noticeRows(rows: readonly InboxRow[], { channel, account, reply }: OwnerRoute): OutboxRow[] {
    const now = clock.now();
    const about: InboxRow = {
      messageId: uuid(ports.random),
      runId: uuid(ports.random),
      channel,
      account,
      eventId: "",
      state: "done",
      sessionKey: "",
      agentId: "",
      receivedAt: now,
      updatedAt: now,
      text: "",
      digest: "",
      source: { author: "gateway", proof: "self", trust: "owner", sensitivity: "private" },
    };
    return replyRows(about, noticeText(rows), reply, ports.textLimit(channel, account), now);
  }

  return {
    isTooOld({ channel, account, sentAtMs }) {
      const maxAgeMs = ports.maxAgeMs();
      if (sentAtMs === undefined || maxAgeMs <= 0) return false;
      // Against the moment of coming back, not against now: a clock that jumps must not make new messages old.
      return (ports.connectedSince(channel, account) ?? clock.now()) - sentAtMs > maxAgeMs;
    },
    ownerWrote({ channel, account, conversation }) {
      if (conversation.kind !== "direct") return;
      const next = JSON.stringify({ channel, account, reply: { conversation } } satisfies OwnerRoute);
      if (next === route) return;
      route = next;
      store.commit([store.meta.put(routeKey, next)]).catch(() => {
        // Only a place to write to: it is learned again from the next message.
        route = undefined;
      });
    },
    noted() {
      cancel();
      cancel = clock.after(quietMs, tell);
    },
    close: () => cancel(),
  };
}

function noticeText(rows: readonly InboxRow[]): string {
  const people = new Map<string, { count: number; firstAt: number }>();
  for (const { source, receivedAt } of rows) {
    const known = people.get(source.author);
    people.set(source.author, { count: (known?.count ?? 0) + 1, firstAt: known?.firstAt ?? receivedAt });
  }
  const named = [...people].slice(0, maxPeople).map(([author, { count }]) => `- ${author}: ${count}`);
  const more = people.size > maxPeople ? [`- and ${people.size - maxPeople} more`] : [];
  return [
    `I was away. ${rows.length} message(s) from ${people.size} sender(s) were too old to answer when I came back:`,
    ...named,
    ...more,
    "They are in the chats. Whoever still needs an answer can write again.",
  ].join("\n");
}
