import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SlackReceiver } from "../../src/channels/slack/receiver.ts";
import type { SlackAccount } from "../../src/channels/slack/settings.ts";
import type { Channel, Conversation, OutboundMessage } from "../../src/delivery/channel.ts";
import { admit, Secret } from "../../src/kernel/mod.ts";
import { stateFolder } from "../support/discord/harness.ts";
import { openTestSlack, people, postedMode, testAccount } from "../support/slack/harness.ts";
import { FakeSlack } from "../support/slack/server.ts";
import { ManualClock } from "../support/telegram/manual-clock.ts";
import { assertHidden, RecordingHost } from "./channel.ts";

interface Scene {
  readonly fake: FakeSlack;
  readonly clock: ManualClock;
  readonly host: RecordingHost;
  readonly channel: Channel;
  readonly logs: string[];
  send(message: Partial<OutboundMessage>): ReturnType<Channel["send"]>;
  /** The account's next life, started. */
  again(): Promise<RecordingHost>;
}

const { ada, ben } = people;
const direct: Conversation = { kind: "direct", id: ada };
const room = "CROOM0001";
const states = (host: RecordingHost) => host.statuses.map((status) => status.state);

/** Nothing is started yet. */
function scene(
  title: string,
  body: (scene: Scene) => Promise<void>,
  more: (fake: FakeSlack) => Partial<SlackAccount> = () => ({}),
): void {
  it(title, async () => {
    const fake = await FakeSlack.start();
    const clock = new ManualClock();
    const host = new RecordingHost();
    const logs: string[] = [];
    const folder = stateFolder();
    const lives: Channel[] = [];
    const open = () => {
      const life = openTestSlack(testAccount(fake, more(fake)), clock, folder.path, (level, text, fields) => {
        logs.push(JSON.stringify([level, text, fields]));
      });
      lives.push(life);
      return life;
    };
    const channel = open();
    try {
      await body({
        fake,
        clock,
        host,
        channel,
        logs,
        send: (message) => channel.send({ id: "out", conversation: direct, text: "hi", ...message }),
        async again() {
          const next = new RecordingHost();
          await open().start(next);
          return next;
        },
      });
      for (const life of lives) await life.stop();
      assertHidden([fake.botToken, fake.appToken, "the-socket-ticket"], [host.statuses, logs]);
    } finally {
      for (const life of lives) await life.stop();
      await fake.close();
      folder.remove();
    }
  });
}

describe("slack: Socket Mode", () => {
  scene(
    "slack (1): an event that cannot be stored is held, tried again, and acknowledged then",
    async (it) => {
      const { fake, host, channel, clock } = it;
      let failures = 3;
      host.answer = async ({ sender }) => {
        if (sender.id === ada && failures-- > 0) throw new Error("no space left on device");
        return admit({ messageId: "1" });
      };
      await channel.start(host);
      const held = fake.write({ text: "held", from: ada });
      for (let count = 1; count <= 3; count++) {
        await host.until(() => states(host).filter((state) => state === "reconnecting").length === count);
        assert.equal(fake.isTaken(held), false);
        await new Promise(setImmediate);
        clock.advance(9_000);
      }
      await fake.taken(held);
      assert.deepEqual(host.texts, ["held", "held", "held", "held"]);
      assert.equal(states(host).at(-1), "connected");
    },
  );

  scene(
    "channels (7): what was stored while stopping is still acknowledged",
    async ({ fake, host, channel }) => {
      const stored = Promise.withResolvers<void>();
      host.answer = async () => {
        await stored.promise;
        return admit({ messageId: "1" });
      };
      await channel.start(host);
      const key = fake.write({ text: "last", from: ada });
      await host.until(() => host.offered.length === 1);
      const stopping = channel.stop();
      stored.resolve();
      await stopping;
      await fake.taken(key);
    },
  );

  scene("a connection that Slack refreshes is made again at once", async ({ fake, host, channel, clock }) => {
    await channel.start(host);
    fake.disconnect("refresh_requested");
    await host.until(() => states(host).includes("reconnecting"));
    await host.until(() => states(host).at(-1) === "connected");
    assert.equal(clock.now(), 1_700_000_000_000);
  });

  scene("channels (8): a connection that answers no ping is left, and another one made", async (it) => {
    const { fake, host, channel, clock } = it;
    await channel.start(host);
    fake.answersPings = false;
    clock.advance(30_000);
    clock.advance(30_000);
    await host.until(() => states(host).includes("reconnecting"));
    fake.answersPings = true;
    clock.advance(10_000);
    await host.until(() => states(host).at(-1) === "connected");
  });

  scene("channels (8): Socket Mode that is turned off is failed and says what to do", async (it) => {
    const { fake, host, channel, clock } = it;
    await channel.start(host);
    fake.disconnect("link_disabled");
    await host.until(() => states(host).at(-1) === "failed");
    assert.match(host.statuses.at(-1)?.detail ?? "", /Socket Mode is turned off.*turn it on/);
    assert.deepEqual(
      clock.waiting.filter((ms) => ms === 300_000),
      [300_000],
    );
  });

  scene(
    "channels (8): a revoked token is failed, names the token, and is not tried in a loop",
    async (it) => {
      const { fake, host, channel, clock } = it;
      fake.tokenIsValid = false;
      await channel.start(host);
      assert.match(host.statuses.at(-1)?.detail ?? "", /^token revoked: Slack does not take the botToken/);
      assert.deepEqual(clock.waiting, [300_000]);
      fake.tokenIsValid = true;
      fake.appTokenError = "invalid_auth";
      clock.advance(300_000);
      await host.until(() => states(host).filter((state) => state === "failed").length === 2);
      assert.match(host.statuses.at(-1)?.detail ?? "", /does not take the appToken/);
    },
  );

  scene("slack (6): a socket at a foreign host is not connected to", async ({ fake, host, channel }) => {
    fake.socketUrl = "wss://wss-primary.slack.com.evil.example/link?ticket=the-socket-ticket";
    await channel.start(host);
    assert.equal(states(host).at(-1), "failed");
    assert.match(host.statuses.at(-1)?.detail ?? "", /not its own/);
  });

  scene("a second process on the app is named", async ({ fake, host, channel }) => {
    fake.connections = 2;
    await channel.start(host);
    assert.equal(states(host).at(-1), "connected");
    assert.match(host.statuses.at(-1)?.detail ?? "", /another process is connected as this app.*stop it/);
  });

  scene("channels (3): other conversations go on while one waits", async ({ fake, host, channel }) => {
    const stored = Promise.withResolvers<void>();
    host.answer = async ({ sender }) => {
      if (sender.id === ada) await stored.promise;
      return admit({ messageId: "1" });
    };
    await channel.start(host);
    fake.write({ text: "1", from: ada });
    fake.write({ text: "2", from: ada });
    await fake.taken(fake.write({ text: "3", from: ben }));
    assert.deepEqual(host.texts, ["1", "3"]);
    stored.resolve();
    await host.until(() => host.offered.length === 3);
  });
});

describe("slack: what was missed", () => {
  scene(
    "channels (7): what was written while the gateway was off is read from the history, once",
    async (it) => {
      const { fake, host, channel, again } = it;
      await channel.start(host);
      await fake.taken(fake.write({ text: "known", from: ada }));
      await fake.taken(fake.write({ text: "known", from: ben, channel: room }));
      await channel.stop();
      fake.kinds.set(fake.directOf(ada), { is_im: true });
      fake.kinds.set(room, { is_channel: true });
      const missed = Array.from({ length: 250 }, (_, at) => fake.writeUnheard({ text: `${at}`, from: ada }));
      const inRoom = fake.writeUnheard({ text: "room", from: ben, channel: room });
      const next = await again();
      await next.until(() => next.offered.length === 251);
      const ids = next.offered.map((message) => message.eventId);
      assert.deepEqual(ids, [...missed, inRoom]);
      assert.deepEqual(next.offered[0]?.conversation, direct);
    },
  );

  scene("a long silence is made up for, a short one is not", async ({ fake, host, channel, clock, send }) => {
    await channel.start(host);
    await fake.taken(fake.write({ text: "known", from: ada }));
    fake.kinds.set(fake.directOf(ada), { is_im: true });
    fake.disconnect("refresh_requested");
    await host.until(() => states(host).filter((state) => state === "connected").length === 2);
    // Round trips enough for a call that should not be made to arrive.
    for (const id of ["1", "2", "3"]) await send({ id });
    assert.equal(fake.api.callsOf("conversations.history").length, 0);
    fake.writeUnheard({ text: "missed", from: ada });
    fake.appTokenError = "internal_error";
    fake.disconnect("refresh_requested");
    await host.until(() => host.statuses.at(-1)?.detail?.includes("internal_error") === true);
    fake.appTokenError = undefined;
    await new Promise(setImmediate);
    clock.advance(91_000);
    await host.until(() => host.texts.includes("missed"));
  });

  scene(
    "channels (3): what is written while the past is read waits for it, in its own conversation",
    async (it) => {
      const { fake, host, channel, clock } = it;
      await channel.start(host);
      await fake.taken(fake.write({ text: "known", from: ada }));
      await channel.stop();
      fake.kinds.set(fake.directOf(ada), { is_im: true });
      fake.writeUnheard({ text: "missed", from: ada });
      fake.api.fault("conversations.history", { kind: "closeBefore" });
      const next = await it.again();
      await fake.api.until(() => fake.api.callsOf("conversations.history").length === 1);
      const late = fake.write({ text: "newer", from: ada });
      await fake.taken(fake.write({ text: "elsewhere", from: ben }));
      assert.deepEqual(next.texts, ["elsewhere"]);
      assert.equal(fake.isTaken(late), false);
      clock.advance(10_000);
      await fake.taken(late);
      assert.deepEqual(next.texts, ["elsewhere", "missed", "newer"]);
    },
  );

  scene(
    "channels (7): a conversation is known to the next life before its first message is acknowledged",
    async (it) => {
      const { fake, host, channel } = it;
      await channel.start(host);
      await fake.taken(fake.write({ text: "the first", from: ada }));
      // As after a kill at this moment: the life before has written nothing more.
      fake.kinds.set(fake.directOf(ada), { is_im: true });
      fake.writeUnheard({ text: "missed", from: ada });
      const next = await it.again();
      await fake.taken(fake.write({ text: "newer", from: ada }));
      await next.until(() => next.texts.includes("newer"));
      assert.deepEqual(next.texts, ["missed", "newer"]);
    },
  );

  scene("a history that cannot be read is told of; one that cannot be read now is read again", async (it) => {
    const { fake, host, channel, clock, logs, again } = it;
    await channel.start(host);
    await fake.taken(fake.write({ text: "known", from: ada }));
    await fake.taken(fake.write({ text: "known", from: ben }));
    await channel.stop();
    for (const user of [ada, ben]) fake.kinds.set(fake.directOf(user), { is_im: true });
    fake.writeUnheard({ text: "missed", from: ben });
    const call = "conversations.history";
    fake.api.fault(call, { kind: "answer", status: 200, body: { ok: false, error: "missing_scope" } });
    fake.api.fault(call, { kind: "answer", status: 429, headers: { "retry-after": "20" } });
    const next = await again();
    await fake.api.until(() => fake.api.callsOf(call).length === 2);
    assert.match(logs.join(), /not all known.*missing_scope/);
    while (!clock.waiting.includes(20_000)) await new Promise(setImmediate);
    clock.advance(20_000);
    await next.until(() => next.texts.includes("missed"));
  });
});

describe("slack: what comes in", () => {
  scene("slack (2): a mention that comes as two events is one message", async ({ fake, host, channel }) => {
    await channel.start(host);
    fake.kinds.set(room, { is_channel: true });
    const event = { channel: room, user: ben, text: `<@${fake.bot.user_id}> hi`, ts: fake.nextTs() };
    const key = fake.deliver({ event: { ...event, type: "message", channel_type: "channel" } });
    fake.deliver({ event: { ...event, type: "app_mention" } });
    await host.until(() => host.offered.length === 2);
    assert.deepEqual(
      host.offered.map((message) => message.eventId),
      [key, key],
    );
    assert.deepEqual(host.offered[0], host.offered[1]);
    assert.equal(host.offered[0]?.mentionsBot, true);
  });

  scene("attack A-067: reactions, pins, joins, edits and our own words hand nothing in", async (it) => {
    const { fake, host, channel } = it;
    await channel.start(host);
    const ts = fake.nextTs();
    const base = { channel: room, channel_type: "channel", user: ben, text: "do it", ts };
    for (const event of [
      { ...base, type: "reaction_added", reaction: "+1", item: { channel: room, ts } },
      { ...base, type: "pin_added" },
      { ...base, type: "member_joined_channel" },
      { ...base, type: "message", subtype: "message_changed", message: base },
      { ...base, type: "message", subtype: "message_deleted" },
      { ...base, type: "message", subtype: "channel_join" },
      { ...base, type: "message", hidden: true },
      { ...base, type: "message", user: fake.bot.user_id },
      { ...base, type: "message", user: undefined, bot_id: fake.bot.bot_id, subtype: "bot_message" },
    ]) {
      fake.deliver({ event });
    }
    await fake.taken(fake.write({ text: "hello", from: ben, channel: room }));
    assert.deepEqual(host.texts, ["hello"]);
  });

  scene(
    "attack A-069: a conversation's kind is what Slack says, and without it there is none",
    async (it) => {
      const { fake, host, channel, logs } = it;
      await channel.start(host);
      fake.kinds.set("CMPIM0001", { is_mpim: true });
      fake.kinds.set("CPRIV0001", { is_group: true });
      fake.kinds.set("CODD00001", {});
      for (const id of ["CNONE0001", "CODD00001", "CMPIM0001", "CPRIV0001"]) {
        fake.write({ text: id, from: ben, channel: id, more: { channel_type: undefined } });
      }
      // Two people and the app: whatever list holds one of them for direct messages does not apply (attack A-066).
      await fake.taken(
        fake.write({ text: "several", from: ben, channel: "GSEVERAL1", more: { channel_type: "mpim" } }),
      );
      await host.until(() => host.offered.length === 3);
      const found = host.offered.map(({ text, conversation }) => [text, conversation.kind, conversation.id]);
      assert.deepEqual(found.sort(), [
        ["CMPIM0001", "group", "CMPIM0001"],
        ["CPRIV0001", "channel", "CPRIV0001"],
        ["several", "group", "GSEVERAL1"],
      ]);
      assert.equal(logs.length, 2);
    },
  );

  scene(
    "channels (1): a kind that cannot be asked for now is asked for again",
    async ({ fake, host, channel, clock }) => {
      await channel.start(host);
      fake.kinds.set(room, { is_channel: true });
      fake.api.fault("conversations.info", { kind: "closeBefore" });
      fake.write({ text: "hello", from: ben, channel: room, more: { channel_type: undefined } });
      await host.until(() => states(host).at(-1) === "reconnecting");
      await new Promise(setImmediate);
      clock.advance(9_000);
      await host.until(() => host.offered.length === 1);
    },
  );

  scene("slack (4): events of another workspace or app are let go (attacks A-078, A-172)", async (it) => {
    const { fake, host, channel, logs } = it;
    await channel.start(host);
    const event = { type: "message", channel: room, channel_type: "channel", user: ben, text: "hi" };
    fake.deliver({ event: { ...event, ts: fake.nextTs() }, team_id: "TOTHER001" });
    fake.deliver({ event: { ...event, ts: fake.nextTs() }, team_id: undefined });
    fake.deliver({ event: { ...event, ts: fake.nextTs() }, api_app_id: "AOTHER001" });
    // A channel that is shared with another organisation: the event is theirs, and authorised for ours.
    const shared = { team_id: "TOTHER001", authorizations: [{ team_id: fake.bot.team_id }] };
    fake.deliver({ event: { ...event, text: "shared", ts: fake.nextTs() }, ...shared });
    await fake.taken(fake.write({ text: "ours", from: ben, channel: room }));
    assert.deepEqual(host.texts, ["shared", "ours"]);
    assert.equal(logs.length, 3);
  });

  scene("a press is a text of the presser, and only on a button of ours (attack A-068)", async (it) => {
    const { fake, host, channel } = it;
    await channel.start(host);
    fake.kinds.set(room, { is_channel: true });
    const press = (more: object) =>
      fake.deliver(
        {
          type: "block_actions",
          team: { id: fake.bot.team_id },
          user: { id: ben, username: "ben" },
          channel: { id: room },
          message: { ts: "1700000000.000900", user: fake.bot.user_id, bot_id: fake.bot.bot_id },
          actions: [{ action_id: "openclaw:0", value: "/approve 1 allow-once", action_ts: "1.2" }],
          ...more,
        },
        "interactive",
      );
    press({});
    press({ message: { ts: "1700000000.000901", user: ada } });
    press({ actions: [{ action_id: "other:0", value: "/approve 2" }] });
    press({ type: "view_submission" });
    press({ team: { id: "TOTHER001" } });
    press({ user: undefined });
    await fake.taken(fake.write({ text: "last", from: ben, channel: room }));
    assert.deepEqual(
      host.offered.map(({ text, sender }) => [text, sender.id, sender.proof]),
      [
        ["/approve 1 allow-once", ben, "platform"],
        ["/approve 1 allow-once", "", "none"],
        ["last", ben, "platform"],
      ],
    );
  });
});

describe("slack: what goes out", () => {
  scene(
    "slack (5): nobody is called, no preview is fetched, and it stays in its thread",
    async ({ fake, send }) => {
      const text = "<!channel> <@U1> see https://collector.test/?d=1";
      const conversation: Conversation = { kind: "channel", id: room, threadId: "1700000000.000100" };
      assert.equal(
        (await send({ text, conversation, replyToMessageId: "1700000000.000200" })).outcome,
        "sent",
      );
      const args = Object.fromEntries(fake.sent[0]!.args);
      assert.equal(args.text, "&lt;!channel&gt; &lt;@U1&gt; see https://collector.test/?d=1");
      assert.equal(args.unfurl_links, "false");
      assert.equal(args.unfurl_media, "false");
      assert.equal(args.thread_ts, "1700000000.000100");
      assert.equal(args.blocks, undefined);
    },
  );

  scene("choices are buttons under the whole text", async ({ fake, send }) => {
    const text = `${"<&> line\n".repeat(900)}end`;
    await send({ text, choices: [{ label: "Allow", command: "/approve 1 allow-once" }] });
    const blocks = JSON.parse(fake.sent[0]?.args.get("blocks") ?? "[]") as {
      type: string;
      text?: { text: string };
      elements?: { value: string; action_id: string }[];
    }[];
    assert.deepEqual(
      blocks.at(-1)?.elements?.map((item) => item.value),
      ["/approve 1 allow-once"],
    );
    const sections = blocks.slice(0, -1).map((block) => block.text?.text ?? "");
    assert.ok(sections.every((section) => section.length <= 3_000));
    assert.equal(sections.join("\n"), fake.sent[0]?.text);
  });

  scene("a file goes out in three steps, of which the last is the send", async ({ fake, send }) => {
    const folder = mkdtempSync(join(tmpdir(), "slack-file-"));
    try {
      const path = join(folder, "out.bin");
      writeFileSync(path, "content");
      const file = { path, name: "out.bin", type: "application/x", bytes: 7 };
      fake.api.fault("/upload", { kind: "closeAfter" });
      assert.equal((await send({ text: "", file })).outcome, "retry");
      assert.deepEqual(await send({ text: "**see**", file }), { outcome: "sent", platformId: "FUPLOAD01" });
      assert.equal(fake.uploads.at(-1)?.toString(), "content");
      const last = new URLSearchParams(fake.api.callsOf("completeUploadExternal")[0]?.raw.toString());
      assert.equal(last.get("channel_id"), fake.directOf(ada));
      assert.equal(last.get("initial_comment"), "*see*");
      fake.api.fault("completeUploadExternal", { kind: "closeAfter" });
      assert.equal((await send({ text: "", file })).outcome, "unknown");
      assert.equal(
        (await send({ text: "", file: { ...file, bytes: 21 * 1024 * 1024 } })).outcome,
        "rejected",
      );
      assert.equal((await send({ text: "", file: { ...file, path: "/none" } })).outcome, "rejected");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  scene("channels (6): after a crash in mid-send the history tells by the message's own id", async (it) => {
    const { fake, channel, send } = it;
    const message = { id: "out", conversation: direct, text: "same words", afterMessageId: fake.nextTs() };
    assert.equal(await channel.wasSent!(message, () => false), "absent");
    await send({ ...message, id: "another" });
    assert.equal(await channel.wasSent!(message, () => false), "absent");
    const sent = await send(message);
    const platformId = sent.outcome === "sent" ? sent.platformId : "";
    assert.deepEqual(await channel.wasSent!(message, () => false), { platformId, isExact: true });
    assert.equal(await channel.wasSent!({ ...message, afterMessageId: "x" }, () => false), "unknown");
    // A file carries no id of ours: its absence proves nothing.
    const file = { path: "/x", name: "x", type: "x", bytes: 1 };
    assert.equal(await channel.wasSent!({ ...message, id: "with a file", file }, () => false), "unknown");
    const inThread = { ...message, conversation: { ...direct, threadId: "1700000000.000100" } };
    await channel.wasSent!(inThread, () => false);
    assert.equal(fake.api.callsOf("conversations.replies").length, 1);
    fake.api.fault("conversations.history", {
      kind: "answer",
      status: 200,
      body: { ok: false, error: "missing_scope" },
    });
    assert.equal(await channel.wasSent!(message, () => false), "unknown");
    fake.api.fault("conversations.history", { kind: "closeBefore" });
    await assert.rejects(channel.wasSent!(message, () => false));
  });

  scene("an edit replaces the text; a reaction replaces the one before", async ({ fake, channel, send }) => {
    const sent = await send({ text: "first" });
    const id = sent.outcome === "sent" ? sent.platformId : "";
    fake.api.fault("chat.update", { kind: "closeAfter" });
    assert.equal((await channel.edit!(direct, id, "second")).outcome, "retry");
    assert.equal((await channel.edit!(direct, id, "<third>")).outcome, "sent");
    assert.equal(fake.sent[0]?.text, "&lt;third&gt;");
    assert.equal((await channel.edit!(direct, "1/../x", "x")).outcome, "rejected");
    const place: Conversation = { kind: "channel", id: room };
    for (const emoji of ["👀", "✅", "✅", "no emoji!", ""])
      channel.react!(place, "1700000000.000100", emoji);
    await fake.api.until(() => fake.api.callsOf("reactions.").length === 4);
    assert.deepEqual(
      fake.api
        .callsOf("reactions.")
        .map(({ path, raw }) => [path, new URLSearchParams(raw.toString()).get("name")]),
      [
        ["/api/reactions.add", "eyes"],
        ["/api/reactions.remove", "eyes"],
        ["/api/reactions.add", "white_check_mark"],
        ["/api/reactions.remove", "white_check_mark"],
      ],
    );
  });

  scene("a thread shows that work goes on, until Slack says that it takes no such thing", async (it) => {
    const { fake, channel, clock } = it;
    const place: Conversation = { kind: "channel", id: room, threadId: "1700000000.000100" };
    channel.typing({ kind: "channel", id: room });
    channel.typing(place);
    channel.typing(place);
    await fake.api.until(() => fake.api.callsOf("setStatus").length === 1);
    clock.advance(60_000);
    fake.api.fault("setStatus", { kind: "answer", status: 200, body: { ok: false, error: "missing_scope" } });
    channel.typing(place);
    await fake.api.until(() => fake.api.callsOf("setStatus").length === 2);
  });

  scene(
    "a pause that Slack asks for holds that method back, and no other",
    async ({ fake, send, channel }) => {
      fake.api.fault("conversations.open", { kind: "answer", status: 429, headers: { "retry-after": "60" } });
      const first = await send({});
      assert.deepEqual(first.outcome === "retry" && first.retryAfterMs, 60_000);
      assert.equal((await send({})).outcome, "retry");
      assert.equal(fake.api.callsOf("conversations.open").length, 1);
      assert.equal((await send({ conversation: { kind: "channel", id: room } })).outcome, "sent");
      assert.equal(
        (await channel.send({ id: "x", conversation: { kind: "channel", id: "../x" }, text: "x" })).outcome,
        "rejected",
      );
    },
  );
});

describe("slack: files that come in", () => {
  scene("a file is fetched where it was shared, within the limit, from Slack's host alone", async (it) => {
    const { fake, host, channel } = it;
    const signal = new AbortController().signal;
    await channel.start(host);
    const own = `http://${fake.api.host}/files/cat.png`;
    const info = (id: string, more: object) =>
      fake.fileInfo.set(id, {
        id,
        mimetype: "image/png",
        size: 5,
        url_private_download: own,
        channels: [room],
        ...more,
      });
    fake.files.set("/files/cat.png", { body: Buffer.from("a cat"), type: "image/png" });
    info("F0000001", {});
    info("F0000002", { url_private_download: "https://files.slack.com.evil.example/x" });
    info("F0000003", { channels: ["COTHER001"] });
    info("F0000004", { channels: [], shares: { private: { [room]: [] } }, size: 99 });
    const files = [...fake.fileInfo.keys()].map((id) => ({
      id,
      name: "cat.png",
      mimetype: "image/png",
      size: 5,
    }));
    fake.write({ text: "", from: ben, channel: room, more: { subtype: "file_share", files } });
    await host.until(() => host.offered.length === 1);
    assert.equal(host.texts[0], "[image]");
    // Nothing was fetched for a message that nobody has admitted (attack A-072).
    assert.equal(fake.api.callsOf("files").length, 0);
    const [cat, foreign, elsewhere, large] = host.offered[0]!.attachments!.map((item) => item.reference);
    const fetched = (reference: string, most = 10) => channel.fetch!(reference, most, signal);
    assert.deepEqual(await fetched(cat!), Buffer.from("a cat"));
    await assert.rejects(fetched(foreign!), { name: "InputError", message: /not its own/ });
    await assert.rejects(fetched(elsewhere!), {
      name: "InputError",
      message: /not shared in this conversation/,
    });
    await assert.rejects(fetched(large!), { name: "InputError", message: /larger than 10 bytes/ });
    await assert.rejects(fetched(`${room}/../x`), { name: "InputError" });
    await assert.rejects(fetched(`${room}/F9999999`), { name: "InputError", message: /file_not_found/ });
    fake.files.set("/files/cat.png", { body: Buffer.alloc(64), type: "image/png" });
    await assert.rejects(fetched(cat!), { name: "InputError", message: /larger than 10 bytes/ });
    fake.files.set("/files/cat.png", { body: Buffer.from("<html>"), type: "text/html; charset=utf-8" });
    await assert.rejects(fetched(cat!), { name: "InputError", message: /files:read/ });
  });
});

describe("slack: posted events", () => {
  const posted = (fake: FakeSlack) => ({ mode: postedMode(fake) });

  scene(
    "slack (3): only what Slack signed, as it came and within five minutes, is taken (attack A-172)",
    async (it) => {
      const { fake, host, channel, clock } = it;
      await channel.start(host);
      const webhook = channel.webhook!;
      const now = Math.floor(clock.now() / 1000);
      const event = {
        type: "message",
        channel: room,
        channel_type: "channel",
        user: ben,
        text: "hi",
        ts: "1.000001",
      };
      const body = JSON.stringify({
        type: "event_callback",
        team_id: fake.bot.team_id,
        event_id: "Ev1",
        event,
      });
      const right = fake.signed(body, now);
      const signature = right["x-slack-signature"]!;
      const verdict = (headers: Record<string, string | undefined>, sent = body) => {
        const proved = webhook.verify(headers, Buffer.from(sent));
        return proved.ok ? "admitted" : proved.reason;
      };
      assert.equal(verdict(right), "admitted");
      assert.equal(verdict({ ...right, "x-slack-signature": undefined }), "channels.webhook_secret_missing");
      assert.equal(
        verdict({ ...right, "x-slack-request-timestamp": undefined }),
        "channels.webhook_secret_missing",
      );
      for (const wrong of [
        "",
        "v0=",
        signature.slice(0, -2),
        signature.toUpperCase(),
        signature.replace(/[a-f]/, (letter) => letter.toUpperCase()),
        `v1=${signature.slice(3)}`,
        ` ${signature}`,
      ]) {
        assert.equal(
          verdict({ ...right, "x-slack-signature": wrong }),
          "channels.webhook_secret_mismatch",
          wrong,
        );
      }
      assert.equal(verdict(right, `${body} `), "channels.webhook_secret_mismatch");
      assert.equal(
        verdict(right, JSON.stringify(JSON.parse(body), null, 1)),
        "channels.webhook_secret_mismatch",
      );
      assert.equal(
        verdict({ ...right, "x-slack-request-timestamp": String(now + 1) }),
        "channels.webhook_secret_mismatch",
      );
      assert.equal(
        verdict({ ...right, "x-slack-request-timestamp": "x" }),
        "channels.webhook_secret_mismatch",
      );
      assert.equal(verdict(fake.signed(body, now - 300)), "admitted");
      assert.equal(verdict(fake.signed(body, now - 301)), "channels.webhook_stale");
      assert.equal(verdict(fake.signed(body, now + 301)), "channels.webhook_stale");
      const large = "x".repeat(1024 * 1024 + 1);
      assert.equal(verdict(fake.signed(large, now), large), "channels.webhook_body_too_large");
      // A signed request that is sent again within its time is the same message again.
      assert.deepEqual(await webhook.receive(Buffer.from(body)), { status: 200 });
      assert.deepEqual(await webhook.receive(Buffer.from(body)), { status: 200 });
      assert.deepEqual(
        host.offered.map((message) => message.eventId),
        [`${room}/1.000001`, `${room}/1.000001`],
      );
    },
    posted,
  );

  scene(
    "what is no event is 400, what is not stored is 503, a form carries a press",
    async (it) => {
      const { fake, host, channel } = it;
      const webhook = channel.webhook!;
      const press = {
        type: "block_actions",
        team: { id: fake.bot.team_id },
        user: { id: ben },
        channel: { id: room },
        message: { ts: "1700000000.000900", user: fake.bot.user_id },
        actions: [{ action_id: "openclaw:0", value: "/ok", action_ts: "1.2" }],
      };
      const form = Buffer.from(`payload=${encodeURIComponent(JSON.stringify(press))}`);
      assert.deepEqual(await webhook.receive(form), { status: 503 });
      fake.kinds.set(room, { is_channel: true });
      await channel.start(host);
      for (const text of ["", "not json", "payload=", "null", "7", '"x"']) {
        assert.deepEqual(await webhook.receive(Buffer.from(text)), { status: 400 }, text);
      }
      assert.deepEqual(await webhook.receive(form), { status: 200 });
      assert.deepEqual(host.texts, ["/ok"]);
      host.answer = async () => {
        throw new Error("no space left on device");
      };
      assert.deepEqual(await webhook.receive(form), { status: 503 });
      assert.equal(states(host).at(-1), "reconnecting");
      const offered = host.offered.length;
      await channel.stop();
      assert.deepEqual(await webhook.receive(form), { status: 503 });
      assert.equal(host.offered.length, offered);
    },
    posted,
  );

  it("slack (3): the challenge is answered with itself, and only to who signed it", async () => {
    const receiver = new SlackReceiver({
      path: "/slack/events",
      signingSecret: new Secret("8f742231b10e8888abcd99yyyzzz85a5"),
      clock: new ManualClock(),
      handle: async () => {},
    });
    const body = Buffer.from(JSON.stringify({ type: "url_verification", challenge: "3eZbrw1aB" }));
    assert.equal(receiver.verify({}, body).ok, false);
    assert.deepEqual(await receiver.receive(body), { status: 200, body: "3eZbrw1aB" });
    assert.deepEqual(await receiver.receive(Buffer.from('{"type":"url_verification"}')), { status: 400 });
  });

  scene(
    "channels (8): an answer alone does not mean connected while nothing can be stored",
    async (it) => {
      const { fake, host, channel, clock } = it;
      await channel.start(host);
      host.answer = async () => {
        throw new Error("no space left on device");
      };
      const event = {
        type: "message",
        channel: room,
        channel_type: "channel",
        user: ben,
        text: "hi",
        ts: "1.000001",
      };
      const body = JSON.stringify({ type: "event_callback", team_id: fake.bot.team_id, event });
      assert.deepEqual(await channel.webhook!.receive(Buffer.from(body)), { status: 503 });
      for (const calls of [2, 3]) {
        clock.advance(300_000);
        await fake.api.until(() => fake.api.callsOf("auth.test").length === calls);
        while (!clock.waiting.includes(300_000)) await new Promise(setImmediate);
      }
      assert.deepEqual(states(host), ["starting", "connected", "reconnecting"]);
    },
    posted,
  );

  scene(
    "channels (8): a token that is revoked later is found within five minutes",
    async (it) => {
      const { fake, host, channel, clock } = it;
      await channel.start(host);
      fake.tokenIsValid = false;
      clock.advance(300_000);
      await host.until(() => states(host).at(-1) === "failed");
      fake.tokenIsValid = true;
      clock.advance(300_000);
      await host.until(() => states(host).at(-1) === "connected");
    },
    posted,
  );
});
