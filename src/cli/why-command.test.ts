import assert from "node:assert/strict";
import { test } from "node:test";
import { reasons } from "../kernel/mod.ts";
import { styleOf } from "./style.ts";
import { type Why, whyText } from "./why-command.ts";

const refused: Why = {
  message: {
    messageId: "m1",
    channel: "telegram",
    account: "default",
    eventId: "871204",
    state: "refused",
    detail: "access.sender_unpaired",
    sessionKey: "",
    agentId: "",
    runId: "r1",
    receivedAt: 1000,
    updatedAt: 1000,
    source: { author: "telegram:5\x1b[2J", proof: "platform", trust: "untrusted", sensitivity: "private" },
  },
  steps: [
    {
      seq: 1,
      at: 1012,
      previous: "",
      hash: "",
      stage: "access",
      kind: "verdict",
      action: "refuse",
      outcome: "access.sender_unpaired",
    },
  ],
  deliveries: [],
};

test("why tells each step with its time, and the reason's sentence", () => {
  const text = whyText(refused, styleOf({ isTTY: false, env: {} }));
  assert.match(text, /^\+ {4}12 ms {2}access {4}refuse {2}access\.sender_unpaired$/m);
  assert.ok(text.includes(reasons["access.sender_unpaired"][1]));
});

test("cli (5): what a sender calls itself cannot write on the terminal", () => {
  assert.ok(whyText(refused, styleOf({ isTTY: false, env: {} })).includes("telegram:5\\x1b[2J"));
});

test("why says what can be done about a delivery that did not surely arrive", () => {
  const delivery = {
    id: "m1:000",
    messageId: "m1",
    runId: "r1",
    channel: "telegram",
    account: "default",
    attempts: 1,
    notBefore: 0,
    createdAt: 1000,
    updatedAt: 2000,
  };
  const text = (state: "unknown" | "rejected" | "dismissed") =>
    whyText({ ...refused, deliveries: [{ ...delivery, state }] }, styleOf({ isTTY: false, env: {} }));
  assert.match(text("rejected"), /Send it: openclaw deliveries resubmit m1:000$/m);
  assert.match(text("unknown"), /resubmit m1:000 --even-if-seen \(look at the chat first/);
  assert.doesNotMatch(text("dismissed"), /resubmit/);
});

test("why says what a tool call was allowed to do in words", () => {
  const effects = [
    { kind: "command", command: "date", workdir: ".", background: false },
    { kind: "file.write", path: "notes\x1b.md" },
  ];
  const [first] = refused.steps;
  assert.ok(first);
  const step = {
    ...first,
    stage: "sandbox",
    action: "tool.exec",
    facts: { toolCallId: "t1", effects, outbox: "m1:000" },
  };
  const text = whyText({ ...refused, steps: [step] }, styleOf({ isTTY: false, env: {} }));
  assert.ok(text.includes("toolCallId=t1 command `date` in .; file.write notes\\x1b.md"), text);
  assert.doesNotMatch(text, /m1:000/);
});
