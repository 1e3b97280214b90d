import assert from "node:assert/strict";
import { test } from "node:test";
import { message, settingsOf } from "../../test/support/access.ts";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { AccessSettings } from "../access/mod.ts";
import { signal } from "../channels/signal/settings.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { InboundMessage, InboxRow } from "../delivery/mod.ts";
import { silentLog } from "../kernel/mod.ts";
import { sessionSettings } from "../session/mod.ts";
import { createRevocation } from "./revocation.ts";

const telegram = (section: object) => settingsOf({ channels: { telegram: { botToken: "x", ...section } } });

/** An open message of the sender 42, on Telegram. */
function rowOf(more: Partial<InboxRow> = {}): InboxRow {
  return {
    messageId: "m1",
    channel: "telegram",
    account: "default",
    eventId: "1",
    state: "running",
    sessionKey: "agent:main:telegram:direct:42",
    agentId: "main",
    runId: "r1",
    receivedAt: 0,
    updatedAt: 0,
    text: "hello",
    digest: "",
    source: { author: "telegram:42", proof: "platform", trust: "known", sensitivity: "private" },
    reply: { conversation: { kind: "direct", id: "42" } },
    ...more,
  };
}

function scene(rules: AccessSettings, open: readonly InboxRow[]) {
  const clock = new ManualClock();
  const stopped: string[] = [];
  const state = {
    rules,
    paired: new Set(["42"]) as ReadonlySet<string> | undefined,
    open: [...open],
    runs: 1,
  };
  const others: ((author: string) => boolean)[] = [];
  const revocation = createRevocation({
    clock,
    log: silentLog,
    inbox: { open: () => state.open },
    activeRuns: () => state.runs,
    abort(_sessionKey, runId) {
      stopped.push(runId);
      state.open = state.open.filter((row) => row.runId !== runId);
    },
    others: [{ cancelOf: (isOver) => void others.push(isOver) }],
    accessSettings: async () => state.rules,
    pairings: {
      async allowed() {
        if (!state.paired) throw new Error("unreadable");
        return state.paired;
      },
    },
    sessionSettings: () => sessionSettings({} as OpenClawConfig),
  });
  /** What has stopped once this much time has passed and what it began has settled. */
  async function after(ms: number): Promise<readonly string[]> {
    clock.advance(ms);
    await revocation.review();
    return stopped;
  }
  return { clock, state, revocation, stopped, others, after };
}

const letIn = (made: ReturnType<typeof scene>, more: Partial<InboundMessage> = {}) => {
  const row = made.state.open[0];
  if (row) made.revocation.letIn(message(more), row);
};

test("auth (9): within a second of a pairing's end its runs stop, and nothing before it", async () => {
  const made = scene(telegram({ dmPolicy: "pairing" }), [rowOf()]);
  letIn(made);
  made.clock.advance(1000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(made.stopped, []);
  made.state.paired = new Set(["7"]);
  made.clock.advance(1000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(made.stopped, ["r1"], "without being asked");
  made.revocation.close();
  assert.deepEqual(made.clock.waiting, []);
});

test("auth (9): a file of pairings that cannot be read stops who was paired", async () => {
  const made = scene(telegram({ dmPolicy: "pairing" }), [rowOf()]);
  made.state.paired = undefined;
  assert.deepEqual(await made.after(0), ["r1"]);
});

test("auth (9): a message is judged again as it came: by the roles, names and calls that it had", async () => {
  const byName = telegram({
    dmPolicy: "allowlist",
    allowFrom: ["@ada"],
    dangerouslyAllowNameMatching: true,
  });
  const named = scene(byName, [rowOf()]);
  letIn(named, { sender: { id: "42", proof: "platform", claimedHandle: "ada" } });
  assert.deepEqual(await named.after(1000), []);
  named.state.rules = telegram({
    dmPolicy: "allowlist",
    allowFrom: ["@bob"],
    dangerouslyAllowNameMatching: true,
  });
  assert.deepEqual(await named.after(1000), ["r1"]);

  const group = { conversation: { kind: "group", id: "-100" } } as const;
  const called = telegram({ groups: { "-100": { requireMention: false } }, groupAllowFrom: ["42"] });
  const inGroup = scene(called, [rowOf({ reply: group })]);
  letIn(inGroup, group);
  inGroup.state.rules = telegram({ groups: { "-100": {} }, groupAllowFrom: ["42"] });
  assert.deepEqual(await inGroup.after(1000), [], "whether it called the agent is not asked again");
  inGroup.state.rules = telegram({ groups: { "-200": {} }, groupAllowFrom: ["42"] });
  assert.deepEqual(await inGroup.after(1000), ["r1"]);
});

test("auth (9): what an earlier gateway let in is judged by its sender's id, where ids alone decide", async () => {
  const made = scene(telegram({ dmPolicy: "pairing" }), [rowOf()]);
  assert.deepEqual(await made.after(1000), []);
  made.state.paired = new Set();
  assert.deepEqual(await made.after(1000), ["r1"]);

  const roles = { allowFrom: ["accessGroup:staff"], dmPolicy: "allowlist" };
  const staff = { type: "discord.channelAudience", guildId: "1", channelId: "2" };
  const byRole = settingsOf(
    { channels: { discord: { token: "x", ...roles } }, accessGroups: { staff } },
    "default",
    "discord",
    { sender: (id) => ({ id }), group: (id) => ({ id }) },
  );
  assert.equal(byRole.allowFrom.memberships.size, 1);
  assert.deepEqual(await scene(byRole, [rowOf({ channel: "discord" })]).after(1000), []);
});

test("auth (9): what an earlier gateway let in by an alias is judged by it again", async () => {
  const uuid = "uuid:aaaaaaaa-0000-4000-8000-00000000000a";
  const number = "+15550000042";
  const signalRules = (allowFrom: readonly string[]) =>
    settingsOf(
      { channels: { signal: { dmPolicy: "allowlist", allowFrom } } },
      "default",
      "signal",
      signal.ids,
    );
  const source = { ...rowOf().source, author: `signal:${uuid}` };
  const row = rowOf({ channel: "signal", source, aliases: { proved: [number], own: [] } });
  const made = scene(signalRules([number]), [row]);
  assert.deepEqual(await made.after(1000), []);
  made.state.rules = signalRules(["+15550000099"]);
  assert.deepEqual(await made.after(1000), ["r1"]);
});

test("auth (9): what somebody ended has begun stops with what else runs for him; others' goes on", async () => {
  const control = { channel: "control", source: { ...rowOf().source, author: "device:a,device:b" } };
  const { reply: _, ...plain } = rowOf({ ...control, runId: "theirs", messageId: "m2" });
  const made = scene(telegram({}), [rowOf(), plain]);
  made.revocation.cancelOf((author) => author === "device:b");
  assert.deepEqual(made.stopped, ["theirs"]);
  assert.equal(made.others[0]?.("device:b"), true);
  assert.equal(made.others[0]?.("device:c"), false);
  // Operators' messages are no channel's rules to judge.
  const own = scene(telegram({ enabled: false }), [plain]);
  assert.deepEqual(await own.after(1000), []);
});

test("auth (9): with nothing open, nothing is looked at", async () => {
  const made = scene(telegram({ dmPolicy: "pairing" }), [rowOf()]);
  made.state.runs = 0;
  made.state.paired = new Set();
  made.clock.advance(5000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(made.stopped, []);
});
