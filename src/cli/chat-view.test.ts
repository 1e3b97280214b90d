import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentEvent, ChatEvent } from "../control/protocol.ts";
import { chatView } from "./chat-view.ts";
import { styleOf } from "./style.ts";

function view() {
  const rows: string[] = [];
  const live: string[] = [];
  const ended: string[] = [];
  const shown = chatView({
    output: { rows: (more) => rows.push(...more), live: (row) => live.push(row) },
    style: styleOf({ isTTY: false, env: {} }),
    columns: () => 40,
    fileRows: (files) => files.map(({ fileName }) => `file ${fileName}`),
    ended: (runId) => ended.push(runId),
  });
  const chat = (state: ChatEvent["state"], more: Partial<ChatEvent> & { text?: string } = {}) => {
    const { text, ...rest } = more;
    const message = {
      role: "assistant" as const,
      content: [{ type: "text" as const, text: text ?? "" }],
      timestamp: 0,
    };
    shown.chat({ runId: "r", sessionKey: "s", seq: 1, state, message, ...rest });
  };
  const item = (data: AgentEvent["data"]) =>
    shown.agent({ runId: "r", sessionKey: "s", agentId: "main", stream: "item", data, seq: 1, ts: 50 });
  return { rows, live, ended, shown, chat, item };
}

test("a reply streams, and its end adds only what was not shown", () => {
  const { rows, ended, chat } = view();
  chat("delta", { deltaText: "Hello\nwor" });
  chat("final", { text: "Hello\nworld" });
  chat("final", { text: "Hello\nworld" });
  assert.deepEqual(rows, ["● Hello", "  world", ""]);
  assert.deepEqual(ended, ["r"]);
});

test("tool calls show with their end, and a failure with its reason", () => {
  const { rows, live, item } = view();
  item({ toolCallId: "1", phase: "start", title: "exec ls", startedAt: 10 });
  assert.match(live.at(-1) ?? "", /exec ls/);
  item({ toolCallId: "1", phase: "end", title: "exec ls", status: "completed", endedAt: 30 });
  item({ toolCallId: "2", phase: "start", title: "read\x1b[2J", startedAt: 10 });
  item({ toolCallId: "2", phase: "end", title: "", status: "failed", error: "no\n such", endedAt: 20 });
  assert.deepEqual(rows, ["  ✓ exec ls  20 ms", "  ✗ read\\x1b[2J  10 ms", "    no such"]);
});

test("a reply that begins anew is not read as one with what came before", () => {
  const { rows, chat } = view();
  chat("delta", { deltaText: "Half" });
  chat("delta", { deltaText: "", replace: true });
  chat("delta", { deltaText: "Whole" });
  chat("final", { text: "Whole" });
  assert.deepEqual(rows, ["● Half", "  the model was cut off; it starts again", "● Whole", ""]);
});

test("after a lost connection the reply is shown whole, once", () => {
  const { rows, shown, chat } = view();
  chat("delta", { deltaText: "Hel" });
  shown.interrupted();
  chat("delta", { deltaText: "wor" });
  chat("final", { text: "Hello world" });
  shown.finished("r", "Hello world", []);
  assert.deepEqual(rows, ["● Hel", "● Hello world", ""]);
});

test("a failed run says why, harmlessly", () => {
  const { rows, chat } = view();
  chat("error", { errorMessage: "boom\x07" });
  assert.deepEqual(rows, ["  ✗ boom\\x07", ""]);
});

test("a reply's files stand below it, once, also where it has no words", () => {
  const { rows, shown, chat } = view();
  const file = { type: "attachment", fileName: "a.png", mimeType: "image/png", sizeBytes: 70 } as const;
  const message = {
    role: "assistant" as const,
    content: [{ type: "text" as const, text: "Look" }, file],
    timestamp: 0,
  };
  chat("delta", { deltaText: "Look" });
  chat("final", { message });
  chat("final", { message });
  shown.finished("other", "", [file]);
  assert.deepEqual(rows, ["● Look", "  file a.png", "", "  file a.png", ""]);
});
