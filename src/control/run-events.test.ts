import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { makePrincipal } from "../auth/principal.ts";
import { holds } from "../auth/scopes.ts";
import { createHub, type Subscriber } from "./hub.ts";
import { createRunEvents } from "./run-events.ts";

function reading() {
  const clock = new ManualClock();
  const hub = createHub(holds, () => true);
  const frames: string[] = [];
  const socket = { send: (text: string) => void frames.push(text), bufferedBytes: 0 };
  hub.add({
    id: "reader",
    socket: socket as Subscriber["socket"],
    principal: makePrincipal("p", ["operator.read"], "token", {}),
    ...{ caps: new Set(), limitKey: "", address: "127.0.0.1", client: "cli/cli", presence: undefined },
    ...{ followed: new Set(), followsList: false, seq: 0 },
  });
  const run = { runId: "r", sessionKey: "agent:main:main", agentId: "main", startedAt: 0 };
  const events = createRunEvents(hub, clock, run);
  let text = "";
  /** A model that writes so many pieces, one each millisecond. */
  const write = (pieces: number, chars: number) => {
    for (let count = 0; count < pieces; count += 1) {
      text += "x".repeat(chars);
      events.delta("x".repeat(chars), text);
      clock.advance(1);
    }
  };
  const chats = () => frames.map((frame) => JSON.parse(frame)).filter(({ event }) => event === "chat");
  return { frames, events, write, chats, text: () => text };
}

test("control (4): the text so far is told twenty times a second, and in the end whole", () => {
  const at = reading();
  at.write(1000, 4);
  const deltas = at.chats();
  assert.equal(deltas.length, 21, "at once, and each fifty milliseconds");
  at.events.finish({ state: "final", text: at.text(), stopReason: "stop" });
  const all = at.chats();
  assert.equal(all.at(-1).payload.message.content[0].text, at.text());
  const told = all.map(({ payload }) => payload.deltaText ?? "").join("");
  assert.equal(told, at.text(), "nothing of it is left out");
});

test("control (4): a text of a megabyte is told a few times its own length, not hundreds of times", () => {
  const at = reading();
  at.write(1000, 1000);
  const bytes = at.frames.reduce((sum, frame) => sum + frame.length, 0);
  assert.ok(bytes < 5_000_000, `${bytes} bytes`);
  at.events.finish({ state: "final", text: at.text(), stopReason: "stop" });
  const told = at.chats().map(({ payload }) => payload.deltaText ?? "");
  assert.equal(told.join(""), at.text());
});
