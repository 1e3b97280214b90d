import {
  addSent,
  applyEvent,
  type ChatEvent,
  emptyConversation,
  fromHistory,
  startRun,
} from "./conversation.ts";
import { type Desk, problemText } from "./desk.ts";
import { AnswerLost, GatewayRefusal } from "./link.ts";
import type { Sending } from "./state.ts";
import { fields, items, text } from "./untrusted.ts";

export interface Chat {
  /** Shows this conversation, from the gateway's record. */
  open(key: string): Promise<void>;
  /** Fetches the record again, keeping what is shown until it is there. */
  catchUp(): Promise<void>;
  event(event: ChatEvent): void;
  setDraft(key: string, draft: string): void;
  /** Sends the draft. It stays in the box until the gateway has taken it. */
  send(key: string): void;
  /** Stops waiting. The text stays in the box, and sending it again cannot double it. */
  cancel(key: string): void;
  /** Sends again, under the same key, what got no answer. */
  resend(): void;
  stop(): Promise<void>;
}

export function openChat(desk: Desk): Chat {
  const { store, memory } = desk;
  const given = new Map<string, Sending>();
  const lookedUp = new Set<string>();
  let fetching: { readonly key: string; readonly missed: ChatEvent[] } | undefined;
  store.change(() => restored(memory));

  /** Events that come during the fetch are applied on top of what it brings: none is lost, none doubled. */
  async function fetchHistory(key: string): Promise<void> {
    const mine = { key, missed: [] as ChatEvent[] };
    fetching = mine;
    try {
      const subscribed = desk.call("sessions.messages.subscribe", { key }).catch(() => undefined);
      const result = fields(await desk.call("chat.history", { sessionKey: key, limit: 200 }));
      await subscribed;
      if (fetching !== mine) return;
      store.change(() => ({ conversation: mine.missed.reduce(applyEvent, fromHistory(key, result)) }));
    } catch (error) {
      if (fetching !== mine || error instanceof AnswerLost) return;
      const problem = problemText("The conversation could not be loaded", error);
      store.change((state) => ({ conversation: { ...state.conversation, status: "failed", problem } }));
    } finally {
      if (fetching === mine) fetching = undefined;
    }
  }

  /** A run that somebody began in a chat app or another tab: what it answers to must be fetched. Once a run. */
  function startedElsewhere({ name, payload }: ChatEvent): boolean {
    const { conversation, sending } = store.state;
    const runId = text(payload.runId);
    if (fetching || (name !== "chat" && name !== "agent")) return false;
    if (payload.sessionKey !== conversation.key) return false;
    if (runId === "" || lookedUp.has(runId) || sending.get(conversation.key)?.key === runId) return false;
    if (conversation.runs.some((run) => run.runId === runId)) return false;
    return !conversation.items.some(
      (item) => ("runId" in item && item.runId === runId) || ("sendKey" in item && item.sendKey === runId),
    );
  }

  function setSending(key: string, sending: Sending | undefined): void {
    const next = new Map(store.state.sending);
    if (sending) next.set(key, sending);
    else next.delete(key);
    store.change(() => ({ sending: next }));
    memory.write("sending", [...next]);
  }

  function setDraft(key: string, draft: string): void {
    const next = new Map(store.state.drafts);
    if (draft === "") next.delete(key);
    else next.set(key, draft);
    store.change(() => ({ drafts: next }));
    memory.write("drafts", [...next]);
  }

  async function deliver(key: string, sending: Sending): Promise<void> {
    setSending(key, { ...sending, state: "asking" });
    const { text: message, key: idempotencyKey } = sending;
    try {
      const answer = fields(await desk.call("chat.send", { sessionKey: key, message, idempotencyKey }));
      taken(key, sending, text(answer.status));
    } catch (error) {
      if (store.state.sending.get(key)?.key !== idempotencyKey) return;
      if (error instanceof GatewayRefusal) {
        setSending(key, undefined);
        desk.notify(
          "problem",
          `${problemText("The message was not sent", error)} Your text is still in the box.`,
        );
      } else setSending(key, { ...sending, state: "waiting" });
    }
  }

  function taken(key: string, sending: Sending, status: string): void {
    given.delete(key);
    if (store.state.sending.get(key)?.key === sending.key) setSending(key, undefined);
    if (store.state.drafts.get(key)?.trim() === sending.text) setDraft(key, "");
    store.change(({ conversation }) => {
      if (conversation.key !== key) return {};
      const shown = addSent(conversation, { ...sending, atMs: desk.clock.nowMs() });
      const ended = conversation.items.some((item) => "runId" in item && item.runId === sending.key);
      const starts = !ended && (status === "started" || status === "in_flight");
      return { conversation: starts ? startRun(shown, sending.key, "") : shown };
    });
  }

  return {
    async open(key) {
      memory.write("session", key);
      store.change(() => ({ conversation: emptyConversation(key, "loading") }));
      await fetchHistory(key);
    },
    catchUp: () => fetchHistory(store.state.conversation.key),
    event(event) {
      if (startedElsewhere(event)) {
        lookedUp.add(text(event.payload.runId));
        void fetchHistory(store.state.conversation.key);
      }
      if (fetching && text(event.payload.sessionKey) === fetching.key) fetching.missed.push(event);
      store.change(({ conversation }) => {
        const next = applyEvent(conversation, event);
        return next === conversation ? {} : { conversation: next };
      });
    },
    setDraft,
    send(key) {
      const words = (store.state.drafts.get(key) ?? "").trim();
      if (words === "" || store.state.sending.has(key)) return;
      const before = given.get(key);
      const idempotencyKey = before?.text === words ? before.key : desk.newId();
      void deliver(key, { text: words, key: idempotencyKey, state: "asking" });
    },
    cancel(key) {
      const sending = store.state.sending.get(key);
      if (!sending) return;
      given.set(key, sending);
      setSending(key, undefined);
    },
    resend() {
      for (const [key, sending] of store.state.sending) void deliver(key, sending);
    },
    async stop() {
      const { key } = store.state.conversation;
      try {
        await desk.call("chat.abort", { sessionKey: key });
      } catch (error) {
        desk.notify("problem", problemText("The run was not stopped", error));
      }
    },
  };
}

function restored(memory: Desk["memory"]) {
  const drafts = new Map<string, string>();
  for (const pair of items(memory.read("drafts"))) {
    const [key, draft] = items(pair).map(text);
    if (key && draft) drafts.set(key, draft);
  }
  const sending = new Map<string, Sending>();
  for (const pair of items(memory.read("sending"))) {
    const [key, raw] = items(pair);
    const before = fields(raw);
    if (text(key) && text(before.text) && text(before.key))
      sending.set(text(key), { text: text(before.text), key: text(before.key), state: "waiting" });
  }
  return { drafts, sending };
}
