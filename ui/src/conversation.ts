/**
 * What a conversation shows, as a value, and how history and events change it. No effects in here.
 *
 * 1. A message that arrives twice (history, event, own send) is shown once.
 * 2. A reply that has ended is never put back to an earlier text by a late event.
 * 3. A tool call keeps its one card from start to result.
 * 4. Event kinds that are not known here change nothing.
 */
import type { Attachment } from "./attachments.ts";
import { type ReadMessage, readMessage } from "./messages.ts";
import { amount, type Fields, fields, firstText, items as listOf, text } from "./untrusted.ts";

export interface UserItem {
  readonly kind: "user";
  readonly id: string;
  readonly messageId?: string;
  /** The idempotency key under which this page sent it. */
  readonly sendKey?: string;
  readonly text: string;
  readonly sender?: string;
  readonly attachments: number;
  readonly atMs: number;
}

export interface AssistantItem {
  readonly kind: "assistant";
  readonly id: string;
  readonly messageId?: string;
  readonly runId?: string;
  readonly text: string;
  readonly state: "streaming" | "done" | "stopped" | "failed";
  readonly problem?: string;
  /** Files that go with it. */
  readonly files?: readonly Attachment[];
  readonly provider?: string;
  readonly model?: string;
  readonly atMs: number;
}

export interface ToolItem {
  readonly kind: "tool";
  readonly id: string;
  /** The model's id of the call; some providers use the same again in another run. */
  readonly callId: string;
  readonly runId?: string;
  readonly name: string;
  readonly args: unknown;
  readonly status: "running" | "done" | "failed" | "stopped";
  readonly output: string;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
}

export interface NoticeItem {
  readonly kind: "notice";
  readonly id: string;
  readonly text: string;
}

export type Item = UserItem | AssistantItem | ToolItem | NoticeItem;

export interface Run {
  readonly runId: string;
  readonly phase: string;
}

export interface Conversation {
  readonly key: string;
  readonly status: "loading" | "ready" | "failed";
  readonly problem?: string;
  readonly items: readonly Item[];
  readonly runs: readonly Run[];
  readonly earlierLeftOut: boolean;
}

export interface ChatEvent {
  readonly name: string;
  readonly payload: Fields;
}

export function emptyConversation(key: string, status: Conversation["status"]): Conversation {
  return { key, status, items: [], runs: [], earlierLeftOut: false };
}

/** Reads a `chat.history` result. */
export function fromHistory(key: string, result: Fields): Conversation {
  let conversation = emptyConversation(key, "ready");
  listOf(result.messages).forEach((raw, index) => {
    conversation = addMessage(conversation, readMessage(fields(raw), `h${index}`));
  });
  const live = fields(result.inFlightRun);
  const runId = text(live.runId);
  conversation = { ...conversation, earlierLeftOut: result.hasMore === true };
  conversation = endTools(conversation, (other) => other !== runId || runId === "");
  if (runId === "") return conversation;
  conversation = startRun(conversation, runId, "");
  return text(live.text) === "" ? conversation : stream(conversation, runId, text(live.text), 0);
}

export function applyEvent(conversation: Conversation, event: ChatEvent): Conversation {
  const { payload } = event;
  if (text(payload.sessionKey) !== conversation.key) return conversation;
  if (event.name === "chat") return applyChat(conversation, payload);
  if (event.name === "agent" || event.name === "session.tool") return applyAgent(conversation, payload);
  if (event.name !== "session.message") return conversation;
  const message = fields(payload.message);
  const read = readMessage(message, text(payload.messageId));
  const runId = firstText(read.runId, payload.runId);
  return addMessage(conversation, runId === "" ? read : { ...read, runId });
}

/** The gateway has taken this message. Shown at once, above the reply if that was faster. */
export function addSent(
  conversation: Conversation,
  sent: { readonly key: string; readonly text: string; readonly atMs: number },
): Conversation {
  if (conversation.items.some((item) => item.kind === "user" && item.sendKey === sent.key))
    return conversation;
  const item: UserItem = {
    kind: "user",
    id: sent.key,
    sendKey: sent.key,
    text: sent.text,
    attachments: 0,
    atMs: sent.atMs,
  };
  const reply = conversation.items.findIndex((other) => "runId" in other && other.runId === sent.key);
  const at = reply === -1 ? conversation.items.length : reply;
  return { ...conversation, items: conversation.items.toSpliced(at, 0, item) };
}

export function startRun(conversation: Conversation, runId: string, phase: string): Conversation {
  const known = conversation.runs.find((run) => run.runId === runId);
  if (known && (phase === "" || known.phase === phase)) return conversation;
  const run: Run = { runId, phase: phase || (known?.phase ?? "") };
  return { ...conversation, runs: [...conversation.runs.filter((other) => other.runId !== runId), run] };
}

function applyChat(conversation: Conversation, payload: Fields): Conversation {
  const runId = text(payload.runId);
  const message = readMessage(fields(payload.message), "");
  const atMs = amount(payload.ts) ?? message.atMs;
  switch (payload.state) {
    case "status":
      return startRun(conversation, runId, text(payload.phase));
    case "delta":
      if (payload.replace === true && message.text === "" && text(payload.deltaText) === "")
        return unwrite(conversation, runId);
      return stream(
        startRun(conversation, runId, "answering"),
        runId,
        deltaText(conversation, payload),
        atMs,
      );
    case "final":
      return endRun(
        addFiles(stream(conversation, runId, message.text, atMs), { ...message, runId }),
        runId,
        "done",
      );
    case "aborted":
      return tellStopped(endRun(stream(conversation, runId, message.text, atMs), runId, "stopped"), runId);
    case "error":
      return failRun(conversation, runId, text(payload.errorMessage), atMs);
    default:
      return conversation;
  }
}

/** Prefers the cumulative text, which heals a lost delta. */
function deltaText(conversation: Conversation, payload: Fields): string {
  if (payload.message !== undefined) return readMessage(fields(payload.message), "").text;
  if (payload.replace === true) return text(payload.deltaText);
  const open = conversation.items.find((item) => isOpen(item, text(payload.runId)));
  return (open?.kind === "assistant" ? open.text : "") + text(payload.deltaText);
}

function isOpen(item: Item, runId: string): boolean {
  return item.kind === "assistant" && item.runId === runId && item.state === "streaming";
}

/** Sets the text of the run's open reply; opens one when there is something new to show. */
function stream(conversation: Conversation, runId: string, full: string, atMs: number): Conversation {
  const rest = unsaid(conversation.items, runId, full);
  if (rest === "") return conversation;
  const open = conversation.items.findIndex((item) => isOpen(item, runId));
  const known = conversation.items[open];
  if (known?.kind === "assistant") {
    if (known.text === rest) return conversation;
    return { ...conversation, items: conversation.items.with(open, { ...known, text: rest }) };
  }
  const late = conversation.items.some(
    (item) => item.kind === "assistant" && item.runId === runId && item.text.trim().startsWith(rest.trim()),
  );
  if (late) return conversation;
  const item: AssistantItem = {
    kind: "assistant",
    id: `${runId}/${conversation.items.length}`,
    runId,
    text: rest,
    state: "streaming",
    atMs,
  };
  return { ...conversation, items: [...conversation.items, item] };
}

/** What of a run's text stands in none of its ended replies: gateways count from the run's start or the step's. */
function unsaid(items: readonly Item[], runId: string, full: string): string {
  let rest = full.trimStart();
  for (const item of items) {
    if (item.kind !== "assistant" || item.runId !== runId || item.state === "streaming") continue;
    const said = item.text.trim();
    if (rest.startsWith(said)) rest = rest.slice(said.length).trimStart();
  }
  return rest.trim() === "" ? "" : rest;
}

/** Takes the open reply back: the model is asked again from the start. */
function unwrite(conversation: Conversation, runId: string): Conversation {
  return { ...conversation, items: conversation.items.filter((item) => !isOpen(item, runId)) };
}

/** Ends the open reply, so that what the run says next stands below what came between. */
function settle(conversation: Conversation, runId: string, state: "done" | "stopped"): Conversation {
  const index = conversation.items.findIndex((item) => isOpen(item, runId));
  const open = conversation.items[index];
  if (open?.kind !== "assistant") return conversation;
  return { ...conversation, items: conversation.items.with(index, { ...open, state }) };
}

function endRun(conversation: Conversation, runId: string, state: "done" | "stopped"): Conversation {
  const settled = endTools(settle(conversation, runId, state), (other) => other === runId);
  return { ...settled, runs: settled.runs.filter((run) => run.runId !== runId) };
}

/** A run that was stopped before it did anything leaves a trace too. */
function tellStopped(conversation: Conversation, runId: string): Conversation {
  const didSomething = conversation.items.some((item) => "runId" in item && item.runId === runId);
  return didSomething
    ? conversation
    : put(conversation, { kind: "notice", id: `${runId}/stopped`, text: "Stopped." });
}

/** No card may look as if it still ran when its run is over. */
function endTools(conversation: Conversation, isOver: (runId: string | undefined) => boolean): Conversation {
  const ends = (item: Item) => item.kind === "tool" && item.status === "running" && isOver(item.runId);
  if (!conversation.items.some(ends)) return conversation;
  const items = conversation.items.map((item) =>
    item.kind === "tool" && ends(item) ? { ...item, status: "stopped" as const } : item,
  );
  return { ...conversation, items };
}

function failRun(conversation: Conversation, runId: string, problem: string, atMs: number): Conversation {
  const said = problem || "The run failed and the gateway gave no reason. Its log says more.";
  const index = conversation.items.findIndex((item) => isOpen(item, runId));
  const open = conversation.items[index];
  const failed: AssistantItem =
    open?.kind === "assistant"
      ? { ...open, state: "failed", problem: said }
      : { kind: "assistant", id: `${runId}/failed`, runId, text: "", state: "failed", problem: said, atMs };
  const items =
    index === -1
      ? [...conversation.items.filter((item) => item.id !== failed.id), failed]
      : conversation.items.with(index, failed);
  return endRun({ ...conversation, items }, runId, "stopped");
}

function applyAgent(conversation: Conversation, payload: Fields): Conversation {
  const runId = text(payload.runId);
  const data = fields(payload.data);
  const atMs = amount(payload.ts);
  switch (payload.stream) {
    case "tool":
    case "item":
    case "command_output":
      return applyTool(conversation, runId, data, atMs, payload.stream);
    case "approval":
      return startRun(conversation, runId, data.phase === "resolved" ? "using-tool" : "waiting-approval");
    case "run_status":
      return startRun(conversation, runId, text(data.phase));
    case "lifecycle":
      return applyLifecycle(conversation, runId, text(data.phase));
    default:
      return conversation;
  }
}

/** The end itself is told by the `chat` event, which also carries the last text. */
function applyLifecycle(conversation: Conversation, runId: string, phase: string): Conversation {
  if (phase === "start" || phase === "waiting-approval") return startRun(conversation, runId, phase);
  return conversation;
}

function applyTool(
  conversation: Conversation,
  runId: string,
  data: Fields,
  atMs: number | undefined,
  source: "tool" | "item" | "command_output",
): Conversation {
  const id = callIdOf(data);
  if (id === "" || (source === "item" && data.kind !== undefined && data.kind !== "tool"))
    return conversation;
  const settled = settle(startRun(conversation, runId, "using-tool"), runId, "done");
  const index = findTool(settled.items, id, runId);
  const known = settled.items[index];
  const before: ToolItem = known?.kind === "tool" ? known : newTool(id, runId);
  const after = changedTool(before, data, atMs, source);
  const items = index === -1 ? [...settled.items, after] : settled.items.with(index, after);
  return { ...settled, items };
}

function findTool(items: readonly Item[], callId: string, runId: string): number {
  return items.findLastIndex(
    (item) =>
      item.kind === "tool" &&
      item.callId === callId &&
      (item.runId === undefined || runId === "" || item.runId === runId),
  );
}

function newTool(callId: string, runId: string): ToolItem {
  return {
    kind: "tool",
    id: `${runId}/${callId}`,
    callId,
    name: "",
    args: undefined,
    status: "running",
    output: "",
    ...(runId === "" ? {} : { runId }),
  };
}

function callIdOf(data: Fields): string {
  return firstText(data.toolCallId, text(data.itemId).replace(/^(tool|command):/, ""));
}

function changedTool(
  tool: ToolItem,
  data: Fields,
  atMs: number | undefined,
  source: "tool" | "item" | "command_output",
): ToolItem {
  const over = tool.status === "done" || tool.status === "failed";
  const named: ToolItem = {
    ...tool,
    name: tool.name || text(data.name),
    args: data.args ?? tool.args,
    ...startOf(tool, amount(data.startedAt) ?? atMs),
  };
  if (source === "command_output") {
    const chunk = text(data.output);
    return over || chunk === "" ? named : { ...named, output: grown(tool.output, chunk) };
  }
  if (data.phase === "result") {
    const output = resultText(data.result) || tool.output;
    return { ...named, status: data.isError === true ? "failed" : "done", output, ...endOf(atMs) };
  }
  if (data.phase === "end") {
    const failed = data.status === "failed" || firstText(data.error) !== "";
    const output = tool.output || firstText(data.error);
    return over ? named : { ...named, status: failed ? "failed" : "done", output, ...endOf(atMs) };
  }
  const partial = resultText(data.partialResult);
  return over || partial === "" ? named : { ...named, output: partial };
}

function startOf(tool: ToolItem, atMs: number | undefined): { readonly startedAtMs?: number } {
  const startedAtMs = tool.startedAtMs ?? atMs;
  return startedAtMs === undefined ? {} : { startedAtMs };
}

function endOf(atMs: number | undefined): { readonly endedAtMs?: number } {
  return atMs === undefined ? {} : { endedAtMs: atMs };
}

/** Output may come whole each time or piece by piece. */
function grown(before: string, chunk: string): string {
  return chunk.startsWith(before) ? chunk : before + chunk;
}

function resultText(result: unknown): string {
  return typeof result === "string" ? result : readMessage(fields(result), "").text;
}

function addMessage(conversation: Conversation, message: ReadMessage): Conversation {
  if (message.role === "user") return addUser(conversation, message);
  if (message.role === "assistant") return addAssistant(conversation, message);
  if (message.role === "tool") return addToolResult(conversation, message);
  if (message.text.trim() === "") return conversation;
  return put(conversation, { kind: "notice", id: message.id, text: message.text });
}

function put(conversation: Conversation, item: Item): Conversation {
  const index = conversation.items.findIndex((other) => other.id === item.id && other.kind === item.kind);
  const items = index === -1 ? [...conversation.items, item] : conversation.items.with(index, { ...item });
  return { ...conversation, items };
}

function addUser(conversation: Conversation, message: ReadMessage): Conversation {
  const index = conversation.items.findIndex(
    (item) =>
      item.kind === "user" &&
      (item.messageId === message.id ||
        (message.sendKey !== "" && item.sendKey === message.sendKey) ||
        // A gateway that does not tell the key: the same words, sent from here and not yet matched.
        (item.messageId === undefined && message.sendKey === "" && item.text === message.text)),
  );
  const known = conversation.items[index];
  const item: UserItem = {
    kind: "user",
    id: known?.id ?? message.id,
    messageId: message.id,
    ...(message.sendKey === "" ? {} : { sendKey: message.sendKey }),
    ...(message.sender === "" ? {} : { sender: message.sender }),
    text: message.text,
    attachments: message.attachments,
    atMs: message.atMs,
  };
  if (index === -1) return { ...conversation, items: [...conversation.items, item] };
  return { ...conversation, items: conversation.items.with(index, item) };
}

function addAssistant(conversation: Conversation, message: ReadMessage): Conversation {
  let result = conversation;
  message.parts.forEach((part, index) => {
    if (part.kind === "call") result = addCall(result, message, part);
    else result = addReply(result, message, part.text, index);
  });
  result = addFiles(result, message);
  if (message.problem === "") return result;
  return failFromHistory(result, message);
}

/** Puts the files of a message below its words; where it has none, they stand alone. A run's files come once. */
function addFiles(conversation: Conversation, message: ReadMessage): Conversation {
  const { id, runId, files } = message;
  if (files.length === 0) return conversation;
  const isTheirs = (item: AssistantItem) =>
    (id !== "" && item.messageId === id) ||
    // The event that ends a run names no message: its files go with the words that it ended with.
    (runId !== "" &&
      item.runId === runId &&
      (item.files !== undefined || (id === "" && message.text !== "")));
  const index = conversation.items.findLastIndex((item) => item.kind === "assistant" && isTheirs(item));
  const known = conversation.items[index];
  if (known?.kind === "assistant")
    return { ...conversation, items: conversation.items.with(index, { ...known, files }) };
  return put(conversation, {
    kind: "assistant",
    id: `${id || runId}/files`,
    ...(id === "" ? {} : { messageId: id }),
    ...(runId === "" ? {} : { runId }),
    text: "",
    state: "done",
    files,
    atMs: message.atMs,
  });
}

function failFromHistory(conversation: Conversation, message: ReadMessage): Conversation {
  const last = conversation.items.at(-1);
  if (last?.kind === "assistant" && last.messageId === message.id) {
    const failed: AssistantItem = { ...last, state: "failed", problem: message.problem };
    return { ...conversation, items: conversation.items.with(-1, failed) };
  }
  const known =
    message.runId !== "" &&
    conversation.items.some(
      (item) => item.kind === "assistant" && item.runId === message.runId && item.state === "failed",
    );
  if (known) return conversation;
  return put(conversation, {
    kind: "assistant",
    id: `${message.id}/failed`,
    messageId: message.id,
    text: "",
    state: "failed",
    problem: message.problem,
    atMs: message.atMs,
  });
}

function addCall(
  conversation: Conversation,
  message: ReadMessage,
  call: { readonly id: string; readonly name: string; readonly args: unknown },
): Conversation {
  const known = conversation.items[findTool(conversation.items, call.id, message.runId)];
  if (known?.kind === "tool")
    return put(conversation, { ...known, name: call.name, args: known.args ?? call.args });
  return put(conversation, {
    ...newTool(call.id, message.runId),
    name: call.name,
    args: call.args,
    startedAtMs: message.atMs,
  });
}

function addToolResult(conversation: Conversation, message: ReadMessage): Conversation {
  const known = conversation.items[findTool(conversation.items, message.callId, message.runId)];
  const before = known?.kind === "tool" ? known : newTool(message.callId, message.runId);
  return put(conversation, {
    ...before,
    name: before.name || message.toolName,
    status: message.isError ? "failed" : "done",
    output: message.text,
    endedAtMs: message.atMs,
  });
}

function addReply(
  conversation: Conversation,
  message: ReadMessage,
  words: string,
  index: number,
): Conversation {
  const id = `${message.id}/${index}`;
  const same = placeOf(conversation.items, message, id, words);
  const known = conversation.items[same];
  const item: AssistantItem = {
    kind: "assistant",
    id: known?.id ?? id,
    messageId: message.id,
    ...(message.runId === "" ? {} : { runId: message.runId }),
    text: words,
    state:
      known?.kind === "assistant" && known.state === "stopped"
        ? "stopped"
        : message.stopped
          ? "stopped"
          : "done",
    ...(message.provider === "" ? {} : { provider: message.provider }),
    ...(message.model === "" ? {} : { model: message.model }),
    atMs: message.atMs,
  };
  const items = same === -1 ? [...conversation.items, item] : conversation.items.with(same, item);
  return { ...conversation, items };
}

/** Where this part of a reply stands already: by its id, as the reply that still grows, or by its beginning. */
function placeOf(items: readonly Item[], message: ReadMessage, id: string, words: string): number {
  const place = (matches: (item: AssistantItem) => boolean) =>
    items.findIndex((item) => item.kind === "assistant" && matches(item));
  const byId = place((item) => item.id === id || (item.messageId === message.id && item.text === words));
  if (byId !== -1 || message.runId === "") return byId;
  const open = items.findIndex((item) => isOpen(item, message.runId));
  if (open !== -1) return open;
  return place(
    (item) =>
      item.messageId === undefined &&
      item.runId === message.runId &&
      item.text !== "" &&
      words.trim().startsWith(item.text.trim()),
  );
}
