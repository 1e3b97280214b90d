import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OpenClawConfig } from "../config/mod.ts";
import type { InboundMessage } from "../delivery/mod.ts";
import { admitted } from "../kernel/mod.ts";
import { collectedText, leaveOut, parseChatCommand, route, sessionSettings } from "./mod.ts";
import { queueRule } from "./queue-mode.ts";
import { isStale, lastDaily, resetRule, resetSettings } from "./reset.ts";
import { maySend, sendPolicyOf } from "./send-policy.ts";

const minute = 60_000;
const hour = 60 * minute;

function keyOf(config: OpenClawConfig, more: Partial<InboundMessage> = {}): string {
  const verdict = route(
    {
      channel: "telegram",
      account: "default",
      eventId: "1",
      conversation: { kind: "direct", id: "42" },
      sender: { id: "42", proof: "platform" },
      text: "",
      messageId: "1",
      mentionsBot: false,
      repliesToBot: false,
      isBot: false,
      ...more,
    },
    sessionSettings(config),
  );
  return admitted(verdict) ? verdict.value.sessionKey : verdict.reason;
}

test("session (6): linked accounts share one person's session, in every scope but main", () => {
  const identityLinks = { ada: ["telegram:42", "discord:7"], ben: ["telegram:43"] };
  const onDiscord = {
    channel: "discord",
    sender: { id: "7", proof: "platform" },
    conversation: { kind: "direct", id: "dm-7" },
  } as const;
  for (const dmScope of ["per-peer", "per-channel-peer", "per-account-channel-peer"] as const) {
    const config = { session: { dmScope, identityLinks } };
    assert.equal(keyOf(config), "agent:main:direct:person:ada", dmScope);
    assert.equal(keyOf(config, onDiscord), "agent:main:direct:person:ada", dmScope);
    assert.notEqual(keyOf(config, { sender: { id: "44", proof: "platform" } }), keyOf(config), dmScope);
  }
  assert.equal(keyOf({ session: { dmScope: "main", identityLinks } }), "agent:main:main");
});

test("session (6): who is claimed by two people belongs to neither, and no id spells a person's name", () => {
  const session = {
    dmScope: "per-peer",
    identityLinks: { ada: ["telegram:42"], eve: ["telegram:42"] },
  } as const;
  assert.equal(keyOf({ session }), "agent:main:direct:42");
  const linked = { session: { dmScope: "per-peer", identityLinks: { ada: ["telegram:42"] } } } as const;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ minLength: 1, unit: "grapheme" }),
        fc.constantFrom("person:ada", "ada", "person%3Aada"),
      ),
      (id) => {
        fc.pre(id !== "42");
        assert.notEqual(keyOf(linked, { sender: { id, proof: "platform" } }), "agent:main:direct:person:ada");
      },
    ),
  );
});

test("bindings: thread, parent, wildcard, guild with roles, guild, team, account, channel", () => {
  const ids = ["thread", "parent", "any", "mods", "guild", "team", "work", "channel"];
  const binding = (agentId: string, match: object) => ({ agentId, match: { channel: "discord", ...match } });
  // Written from the least special to the most: the tier decides, not the place in the file.
  const bindings = [
    binding("channel", {}),
    binding("work", { accountId: "work" }),
    binding("team", { teamId: "T1" }),
    binding("guild", { guildId: "G1" }),
    binding("mods", { guildId: "G1", roles: ["9"] }),
    binding("any", { peer: { kind: "channel", id: "*" }, guildId: "G2" }),
    binding("parent", { peer: { kind: "channel", id: "C1" } }),
    binding("thread", { peer: { kind: "channel", id: "th1" } }),
  ];
  const config = { agents: { entries: Object.fromEntries(ids.map((id) => [id, {}])) }, bindings };
  const agent = (conversation: object, sender: object = {}, account = "default") =>
    keyOf(config, {
      channel: "discord",
      account,
      conversation: { kind: "channel", id: "C9", ...conversation },
      sender: { id: "1", proof: "platform", ...sender },
    }).split(":")[1];
  assert.equal(agent({ id: "C1", threadId: "th1", spaceId: "G1" }), "thread");
  assert.equal(agent({ id: "C1", threadId: "th2", spaceId: "G1" }), "parent");
  assert.equal(agent({ spaceId: "G2" }), "any");
  assert.equal(agent({ spaceId: "G1" }, { roles: ["8", "9"] }), "mods");
  assert.equal(agent({ spaceId: "G1" }, { roles: ["8"] }), "guild");
  assert.equal(agent({ spaceId: "T1" }), "team");
  assert.equal(agent({ spaceId: "G3" }, {}, "work"), "work");
  assert.equal(agent({}), "channel");
});

test("a binding may keep its conversations apart in its own way", () => {
  const bindings = [
    {
      agentId: "main",
      match: { channel: "telegram" },
      session: { dmScope: "per-channel-peer", groupScope: "main" },
    },
  ] as const;
  const config = { session: { dmScope: "main" }, bindings } as OpenClawConfig;
  assert.equal(keyOf(config), "agent:main:telegram:direct:42");
  assert.equal(keyOf(config, { conversation: { kind: "group", id: "-1" } }), "agent:main:main");
  assert.equal(
    keyOf({ session: { groupScope: "main" } }, { conversation: { kind: "group", id: "-1" } }),
    "agent:main:main",
  );
});

test("reset rules: the channel's wins, then the type's, then the base; nothing resets by itself unasked", () => {
  const settings = resetSettings({
    reset: { mode: "daily", atHour: 5 },
    resetByType: { group: { mode: "idle", idleMinutes: 10 }, dm: { idleMinutes: 3 } },
    resetByChannel: { slack: { mode: "none" } },
  });
  assert.deepEqual(resetRule(settings, { channel: "telegram", kind: "thread" }), {
    mode: "daily",
    atHour: 5,
    idleMinutes: undefined,
  });
  assert.equal(resetRule(settings, { channel: "telegram", kind: "group" }).idleMinutes, 10);
  assert.equal(resetRule(settings, { kind: "direct" }).idleMinutes, 3);
  assert.equal(resetRule(settings, { channel: "slack", kind: "group" }).mode, "none");
  assert.equal(resetRule(resetSettings(undefined), { kind: "direct" }).mode, "none");
  const older = resetRule(resetSettings({ idleMinutes: 60 }), { kind: "direct" });
  assert.deepEqual([older.mode, older.idleMinutes], ["idle", 60]);
});

test("a conversation is stale once its hour has passed or it was idle, whichever comes first", () => {
  const now = Date.UTC(2026, 0, 10, 12);
  const at = (h: number) => lastDaily(now, h, "UTC");
  const session = (startedAgo: number, idle: number) => ({
    startedAt: now - startedAgo,
    lastInteractionAt: now - idle,
  });
  const daily = { mode: "daily", atHour: 4, idleMinutes: undefined } as const;
  assert.equal(isStale(daily, session(7 * hour, 0), now, at), false);
  assert.equal(isStale(daily, session(9 * hour, 0), now, at), true);
  const idle = { mode: "idle", atHour: 4, idleMinutes: 30 } as const;
  assert.equal(isStale(idle, session(40 * hour, 29 * minute), now, at), false);
  assert.equal(isStale(idle, session(hour, 30 * minute), now, at), true);
  assert.equal(isStale({ ...daily, idleMinutes: 30 }, session(hour, 31 * minute), now, at), true);
  assert.equal(isStale({ ...idle, mode: "none" }, session(99 * hour, 99 * hour), now, at), false);
});

test("the daily hour is the local one, today's or yesterday's", () => {
  const now = Date.UTC(2026, 6, 1, 3, 30, 15, 250);
  assert.equal(lastDaily(now, 3, "UTC"), Date.UTC(2026, 6, 1, 3));
  assert.equal(lastDaily(now, 4, "UTC"), Date.UTC(2026, 5, 30, 4));
  // 03:30 UTC is 12:30 in Tokyo.
  assert.equal(lastDaily(now, 12, "Asia/Tokyo"), Date.UTC(2026, 6, 1, 3));
});

test("send policy: one denial wins over any permission; no rule that fits leaves it to the default", () => {
  const place = { channel: "telegram", kind: "group", sessionKey: "agent:main:telegram:group:-1" } as const;
  const policy = (section: Parameters<typeof sendPolicyOf>[0]) => maySend(sendPolicyOf(section), place);
  assert.equal(policy(undefined), true);
  assert.equal(policy({ default: "deny" }), false);
  assert.equal(
    policy({ default: "deny", rules: [{ action: "allow", match: { channel: "telegram" } }] }),
    true,
  );
  const both = [
    { action: "allow", match: { channel: "telegram" } },
    { action: "deny", match: { keyPrefix: "telegram:group:" } },
  ] as const;
  assert.equal(policy({ rules: both }), false);
  assert.equal(policy({ rules: [{ action: "deny", match: { chatType: "direct" } }] }), true);
  assert.equal(
    policy({ rules: [{ action: "deny", match: { rawKeyPrefix: "agent:main:telegram" } }] }),
    false,
  );
  assert.equal(policy({ rules: [{ action: "deny" }] }), false);
});

test("queue rules: the channel's mode wins; nothing gives way unless a cap is set", () => {
  const { queue } = sessionSettings({ messages: { queue: { cap: 5, byChannel: { slack: "collect" } } } });
  assert.deepEqual(queueRule(queue, "slack"), { mode: "collect", cap: 5, drop: "summarize" });
  assert.equal(queueRule(queue, "telegram").mode, "steer");
  assert.equal(queueRule(sessionSettings({}).queue, "telegram").cap, Number.POSITIVE_INFINITY);
});

test("what gave way is told of in the message that took its place, the newest twenty of them", () => {
  assert.match(collectedText(["a", "b"]), /^\[2 messages .*\]\n\n\[1\] a\n\n\[2\] b$/);
  let text = "message 0";
  for (let n = 1; n <= 30; n++) text = leaveOut(text, `message ${n}`);
  const lines = text.split("\n");
  assert.deepEqual(
    lines.slice(1, -2),
    Array.from({ length: 20 }, (_, n) => `- message ${n + 10}`),
  );
  assert.equal(lines.at(-1), "message 30");
  assert.ok(leaveOut("x".repeat(10_000), "new").length < 300);
});

test("reset triggers are whole messages", () => {
  const triggers = new Set(["start over"]);
  assert.equal(parseChatCommand(" Start Over ", triggers)?.name, "reset");
  assert.equal(parseChatCommand("let us start over", triggers), undefined);
});
