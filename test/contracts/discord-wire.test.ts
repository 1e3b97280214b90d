import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { DiscordAccount } from "../../src/channels/discord/settings.ts";
import type { Channel, Conversation, OutboundMessage } from "../../src/delivery/channel.ts";
import { admit } from "../../src/kernel/mod.ts";
import { openTestDiscord, people, stateFolder, testAccount } from "../support/discord/harness.ts";
import { FakeDiscord } from "../support/discord/server.ts";
import { ManualClock } from "../support/telegram/manual-clock.ts";
import { assertHidden, RecordingHost } from "./channel.ts";

interface Scene {
  readonly fake: FakeDiscord;
  readonly clock: ManualClock;
  readonly host: RecordingHost;
  readonly channel: Channel;
  readonly logs: string[];
  readonly folder: string;
  send(message: Partial<OutboundMessage>): ReturnType<Channel["send"]>;
  /** The account's next life, started. */
  again(): Promise<RecordingHost>;
}

const { ada, ben } = people;
const direct: Conversation = { kind: "direct", id: ada };
const room = "200000000000000001";
const thread = "200000000000000002";
const states = (host: RecordingHost) => host.statuses.map((status) => status.state);

/** `passes`: pauses go by at once. Nothing is started yet. */
function scene(
  title: string,
  body: (scene: Scene) => Promise<void>,
  more: Partial<DiscordAccount> & { readonly passes?: boolean } = {},
): void {
  it(title, async () => {
    const fake = await FakeDiscord.start();
    fake.addChannel(room);
    fake.addChannel(thread, { type: 11, parent_id: room, owner_id: ben });
    const clock = new ManualClock();
    const { passes, ...settings } = more;
    const hostOf = () => new RecordingHost(passes ? () => clock.advance(61_000) : undefined);
    const host = hostOf();
    const logs: string[] = [];
    const folder = stateFolder();
    const lives: Channel[] = [];
    const open = () => {
      const life = openTestDiscord(testAccount(fake, settings), clock, folder.path, (level, text, fields) => {
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
        folder: folder.path,
        send: (message) => channel.send({ id: "out", conversation: direct, text: "hi", ...message }),
        async again() {
          const next = hostOf();
          await open().start(next);
          return next;
        },
      });
      for (const life of lives) await life.stop();
      assertHidden([fake.token], [host.statuses, logs]);
    } finally {
      for (const life of lives) await life.stop();
      await fake.api.close();
      folder.remove();
    }
  });
}

const passing = { passes: true };

interface Kept {
  readonly session?: { readonly id: string };
  readonly newestMessageId?: string;
}

/** What the account keeps on disk, once `fits`. */
async function kept(folder: string, fits: (kept: Kept) => boolean = () => true): Promise<Kept> {
  for (;;) {
    try {
      const value = JSON.parse(readFileSync(join(folder, "session.json"), "utf8")) as Kept;
      if (fits(value)) return value;
    } catch {}
    await new Promise(setImmediate);
  }
}

describe("discord: the gateway", () => {
  scene("it identifies once, with no more intents than it uses", async ({ fake, host, channel }) => {
    await channel.start(host);
    assert.equal(fake.gateway.identifies.length, 1);
    assert.equal(fake.gateway.identifies[0]?.intents, 1 | 512 | 4096 | 32_768);
    assert.deepEqual(host.statuses.at(-1), {
      state: "connected",
      identity: "@house",
      lastConfirmedAtMs: 1_700_000_000_000,
    });
  });

  scene(
    "discord (1): a session that cannot be resumed is made up for from the history, direct and in servers",
    async ({ fake, host, channel }) => {
      await channel.start(host);
      const known = fake.write({ text: "known", from: ada });
      await fake.told(known);
      fake.gateway.forgetSessions();
      const missed = [
        fake.write({ text: "direct, missed", from: ada }, false),
        fake.write({ text: "room, missed", from: ben, channel: room }, false),
        fake.write({ text: "thread, missed", from: ben, channel: thread }, false),
      ];
      fake.api.cutConnections();
      await host.until(() => missed.every((id) => host.offered.some((message) => message.eventId === id)));
      assert.equal(fake.gateway.identifies.length, 2);
      const inThread = host.offered.find((message) => message.text === "thread, missed");
      assert.deepEqual(inThread?.conversation, {
        kind: "channel",
        id: room,
        threadId: thread,
        spaceId: fake.guildId,
      });
    },
    passing,
  );

  scene(
    "discord (1): what was written while the gateway was off and its session was forgotten is fetched at the start",
    async ({ fake, host, channel, again }) => {
      await channel.start(host);
      const known = fake.write({ text: "known", from: ada });
      await fake.told(known);
      await channel.stop();
      assert.equal(fake.gateway.closes.includes(1000) || fake.gateway.closes.includes(1001), false);
      fake.gateway.forgetSessions();
      const missed = Array.from({ length: 130 }, (_, count) =>
        fake.write({ text: `${count}`, from: ada }, false),
      );
      const next = await again();
      await next.until(() => next.offered.some((message) => message.eventId === missed.at(-1)));
      const offered = next.offered.map((message) => message.eventId).filter((id) => id !== known);
      assert.deepEqual(offered, missed);
    },
    passing,
  );

  for (const channelId of [undefined, room]) {
    scene(
      `channels (7): killed right after the first message ${channelId ? "in a room" : "of all"}, the next life knows where to read on`,
      async ({ fake, host, channel, again }) => {
        await channel.start(host);
        await fake.told(fake.write({ text: "elsewhere", from: ben }));
        const place = channelId === undefined ? {} : { channel: channelId };
        await fake.told(fake.write({ text: "known", from: ada, ...place }));
        // As after a kill at this moment: the life before has written nothing more, and its session is over.
        fake.gateway.forgetSessions();
        const missed = fake.write({ text: "missed", from: ada, ...place }, false);
        const next = await again();
        await next.until(() => next.statuses.some(({ state }) => state === "connected"));
        await fake.told(fake.write({ text: "newer", from: ada, ...place }));
        const texts = next.offered.filter(({ eventId }) => eventId >= missed).map(({ text }) => text);
        // What comes both ways is known by its id.
        assert.deepEqual([...new Set(texts)], ["missed", "newer"]);
      },
      passing,
    );
  }

  scene(
    "discord (1): a history that could not be stored is read again from the same place",
    async ({ fake, host, channel }) => {
      await channel.start(host);
      const known = fake.write({ text: "known", from: ada });
      await fake.told(known);
      fake.gateway.forgetSessions();
      const missed = fake.write({ text: "missed", from: ada }, false);
      let failures = 2;
      host.answer = async ({ text }) => {
        if (text === "missed" && failures-- > 0) throw new Error("no space left on device");
        return admit({ messageId: "1" });
      };
      fake.api.cutConnections();
      await host.until(() => host.texts.filter((text) => text === "missed").length === 3);
      assert.equal(host.offered.at(-1)?.eventId, missed);
    },
    passing,
  );

  scene(
    "discord (1): a message that is numbered before the last one, and comes after it, is not missed",
    async ({ fake, host, channel }) => {
      await channel.start(host);
      fake.write({ text: "numbered earlier", from: ben, channel: room }, false);
      await fake.told(fake.write({ text: "known", from: ada }));
      fake.gateway.forgetSessions();
      fake.write({ text: "after", from: ben, channel: room }, false);
      fake.api.cutConnections();
      await host.until(() => host.texts.includes("after"));
      assert.ok(host.texts.includes("numbered earlier"));
    },
    passing,
  );

  scene(
    "discord (1): a crash while a history is read: the next life reads it again",
    async (it) => {
      const { fake, host, channel, clock, folder, again } = it;
      await channel.start(host);
      await fake.told(fake.write({ text: "known", from: ada }));
      fake.gateway.forgetSessions();
      fake.write({ text: "missed", from: ada }, false);
      const stored = Promise.withResolvers<void>();
      host.answer = async () => {
        await stored.promise;
        return admit({ messageId: "1" });
      };
      fake.api.cutConnections();
      // The history overlaps: what is known comes first, and waits.
      await host.until(() => host.offered.length === 2);
      clock.advance(1_000);
      await kept(folder, ({ session }) => session === undefined);
      const next = await again();
      await next.until(() => next.texts.includes("missed"));
      stored.resolve();
    },
    passing,
  );

  scene("discord (1): what is kept never goes past a message that is still being stored", async (it) => {
    const { fake, host, channel, clock, folder } = it;
    await channel.start(host);
    const stored = Promise.withResolvers<void>();
    host.answer = async ({ text }) => {
      if (text === "slow") await stored.promise;
      return admit({ messageId: "1" });
    };
    const slow = fake.write({ text: "slow", from: ada });
    fake.write({ text: "quick", from: ben });
    await host.until(() => host.offered.length === 2);
    await new Promise(setImmediate);
    clock.advance(1_000);
    assert.equal((await kept(folder)).newestMessageId, undefined);
    stored.resolve();
    await fake.told(slow);
    clock.advance(1_000);
    await kept(
      folder,
      ({ newestMessageId: newest }) => newest !== undefined && BigInt(newest) > BigInt(slow),
    );
  });

  scene("a place on disk that cannot be read begins a new session, and says so", async (it) => {
    writeFileSync(join(it.folder, "session.json"), "{ half of it");
    await it.channel.start(it.host);
    assert.equal(it.host.statuses.at(-1)?.state, "connected");
    assert.match(it.logs[0]!, /where we stood cannot be read/);
  });

  scene(
    "channels (8): a connection that answers no heartbeat is left, and the session taken up again",
    async (it) => {
      const { fake, host, channel, clock } = it;
      await channel.start(host);
      fake.gateway.answersHeartbeats = false;
      clock.advance(41_250);
      clock.advance(41_250);
      await host.until(() => states(host).includes("reconnecting"));
      fake.gateway.answersHeartbeats = true;
      clock.advance(61_000);
      await host.until(() => states(host).at(-1) === "connected");
      assert.equal(fake.gateway.resumes.length, 1);
      assert.equal(fake.gateway.identifies.length, 1);
    },
  );

  scene(
    "channels (8): a reconnect that Discord asks for is done at once",
    async ({ fake, host, channel, clock }) => {
      await channel.start(host);
      fake.gateway.askToReconnect();
      await fake.api.until(() => fake.gateway.resumes.length === 1);
      await host.until(() => states(host).at(-1) === "connected");
      assert.equal(clock.now(), 1_700_000_000_000);
    },
  );

  scene(
    "channels (8): a revoked token is failed, says what to do, and is not tried in a loop",
    async (it) => {
      const { fake, host, channel, clock } = it;
      fake.tokenIsValid = false;
      await channel.start(host);
      assert.deepEqual(states(host), ["starting", "failed"]);
      assert.match(host.statuses[1]?.detail ?? "", /^token revoked: .*Developer Portal/);
      assert.deepEqual(clock.waiting, [300_000]);
      fake.tokenIsValid = true;
      clock.advance(300_000);
      await host.until(() => states(host).at(-1) === "connected");
    },
  );

  for (const [code, words] of [
    [4004, /^token revoked/],
    [4014, /Message Content Intent/],
    [4011, /sharding/],
  ] as const) {
    scene(
      `channels (8): close code ${code} is failed and says what to do`,
      async ({ fake, host, channel }) => {
        fake.gateway.nextClose = code;
        await channel.start(host);
        assert.equal(host.statuses.at(-1)?.state, "failed");
        assert.match(host.statuses.at(-1)?.detail ?? "", words);
      },
    );
  }

  scene("no session is begun when Discord gives none today", async ({ fake, host, channel, clock }) => {
    fake.sessionsLeft = 0;
    await channel.start(host);
    assert.equal(fake.gateway.identifies.length, 0);
    assert.deepEqual(clock.waiting, [3_600_000]);
  });

  scene("discord (6): a gateway at a foreign host gets no token", async ({ fake, host, channel }) => {
    fake.gatewayUrl = "wss://gateway.discord.gg.evil.example/";
    await channel.start(host);
    assert.match(host.statuses.at(-1)?.detail ?? "", /not its own/);
    assert.equal(fake.gateway.identifies.length, 0);
  });

  scene("another process that writes as the bot is named, and its words are not handed in", async (it) => {
    const { fake, host, channel, clock, send, logs } = it;
    await channel.start(host);
    assert.equal((await send({ text: "ours" })).outcome, "sent");
    await fake.told(fake.write({ text: "1", from: ada }));
    clock.advance(41_250);
    await host.until(() => host.statuses.length === 3);
    assert.equal(host.statuses.at(-1)?.detail, undefined);
    fake.write({ text: "not ours", from: fake.bot.id, channel: room });
    await fake.told(fake.write({ text: "2", from: ada }));
    clock.advance(41_250);
    await host.until(() => host.statuses.length === 4);
    assert.match(host.statuses.at(-1)?.detail ?? "", /another process writes as this bot: stop it/);
    assert.match(logs.join(), /another process/);
    assert.deepEqual(host.texts, ["1", "2"]);
  });
});

describe("discord: what comes in", () => {
  scene(
    "attack A-067: reactions, pins, edits and members hand nothing in",
    async ({ fake, host, channel }) => {
      await channel.start(host);
      for (const name of [
        "MESSAGE_REACTION_ADD",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "CHANNEL_PINS_UPDATE",
        "GUILD_MEMBER_ADD",
        "TYPING_START",
      ]) {
        fake.gateway.emit(name, {
          user_id: ben,
          channel_id: room,
          id: "1",
          content: "do it",
          emoji: { name: "👍" },
        });
      }
      await fake.told(fake.write({ text: "hello", from: ada }));
      assert.deepEqual(host.texts, ["hello"]);
    },
  );

  scene("attack A-069: a channel that Discord does not describe is no conversation", async (it) => {
    const { fake, host, channel, logs } = it;
    await channel.start(host);
    const unknown = { id: fake.nextId(), type: 0, author: { id: ben }, content: "hello" };
    fake.gateway.emit("MESSAGE_CREATE", { ...unknown, channel_id: "888888888888888888" });
    fake.channels.set("777777777777777777", { id: "777777777777777777", type: 99 });
    fake.gateway.emit("MESSAGE_CREATE", { ...unknown, id: fake.nextId(), channel_id: "777777777777777777" });
    await fake.told(fake.write({ text: "known", from: ada }));
    assert.deepEqual(host.texts, ["known"]);
    assert.match(logs[0]!, /let go/);
  });

  scene(
    "discord (5): a press is a text of the presser, and only on a button of ours (attack A-068)",
    async (it) => {
      const { fake, host, channel } = it;
      await channel.start(host);
      const press = (more: object) => ({
        id: fake.nextId(),
        type: 3,
        token: "press-token",
        channel_id: room,
        guild_id: fake.guildId,
        member: { user: { id: ben, username: "ben" }, roles: [] },
        message: { id: "5", channel_id: room, author: { id: fake.bot.id } },
        data: { custom_id: "cmd:/approve 1 allow-once" },
        ...more,
      });
      fake.gateway.emit("INTERACTION_CREATE", press({}));
      fake.gateway.emit(
        "INTERACTION_CREATE",
        press({ message: { id: "6", channel_id: room, author: { id: ada } } }),
      );
      fake.gateway.emit("INTERACTION_CREATE", press({ data: { custom_id: "/approve 2" } }));
      fake.gateway.emit("INTERACTION_CREATE", press({ type: 2 }));
      fake.gateway.emit("INTERACTION_CREATE", press({ member: undefined }));
      await fake.told(fake.write({ text: "last", from: ben, channel: room }));
      assert.deepEqual(
        host.offered.map(({ text, sender, repliesToBot }) => [text, sender.id, sender.proof, repliesToBot]),
        [
          ["/approve 1 allow-once", ben, "platform", true],
          ["/approve 1 allow-once", "", "none", true],
          ["last", ben, "platform", false],
        ],
      );
      await fake.api.until(() => fake.api.callsOf("/callback").length > 0);
      assert.deepEqual(fake.api.callsOf("/callback")[0]?.json, { type: 6 });
    },
  );

  scene("channels (3): other channels go on while one waits", async ({ fake, host, channel }) => {
    await channel.start(host);
    const stored = Promise.withResolvers<void>();
    host.answer = async ({ sender }) => {
      if (sender.id === ada) await stored.promise;
      return admit({ messageId: "1" });
    };
    fake.write({ text: "1", from: ada });
    fake.write({ text: "2", from: ada });
    fake.write({ text: "3", from: ben });
    await host.until(() => host.offered.length === 2);
    assert.deepEqual(host.texts, ["1", "3"]);
    stored.resolve();
    await host.until(() => host.offered.length === 3);
  });

  scene(
    "the sender's roles, its thread and its space come with a message",
    async ({ fake, host, channel }) => {
      await channel.start(host);
      fake.gateway.emit("THREAD_MEMBER_UPDATE", { id: thread });
      fake.write({ text: "one", from: ben, channel: thread, name: "Ben" });
      fake.write({ text: "two", from: ben, channel: room });
      await host.until(() => host.offered.length === 2);
      const [one, two] = host.offered;
      assert.deepEqual(one?.conversation, {
        kind: "channel",
        id: room,
        threadId: thread,
        spaceId: fake.guildId,
      });
      assert.equal(one?.inBotThread, true);
      assert.deepEqual(one?.sender.roles, ["700000000000000001"]);
      assert.equal(one?.sender.memberOf, undefined);
      assert.equal(two?.inBotThread, undefined);
      assert.deepEqual(two?.sender.memberOf, [`audience:${fake.guildId}/${room}`]);
    },
  );
});

describe("discord: whom the config names by what they can view", () => {
  const eve = "100000000000000066";
  const dan = "100000000000000067";
  const view = 1n << 10n;
  const guildId = "500000000000000001";
  const staff = "700000000000000009";
  const elsewhere = "200000000000000003";
  const wanted = {
    audiences: [
      { guildId, channelId: room },
      { guildId, channelId: thread },
      { guildId: "500000000000000002", channelId: room },
      // Another server's, where the role means something else.
      { guildId, channelId: elsewhere },
    ],
  };
  /** The room is for those with the role. */
  function furnish(fake: FakeDiscord): void {
    fake.roles.set(guildId, view);
    fake.roles.set(staff, 0n);
    fake.addChannel(room, {
      permission_overwrites: [
        { id: guildId, type: 0, allow: "0", deny: String(view) },
        { id: staff, type: 0, allow: String(view), deny: "0" },
      ],
    });
    fake.addChannel(elsewhere, {
      guild_id: "500000000000000002",
      permission_overwrites: [{ id: staff, type: 0, allow: String(view), deny: "0" }],
    });
    fake.members.set(ada, [staff]);
    fake.members.set(ben, []);
  }
  const asked = (fake: FakeDiscord) => fake.api.calls.filter(({ path }) => path.includes("/members/")).length;

  scene(
    "access (3): a direct message tells which audiences its writer belongs to, as Discord's own permissions say",
    async ({ fake, host, channel, clock }) => {
      furnish(fake);
      await channel.start(host);
      for (const from of [ada, ben, eve]) {
        fake.write({ text: `from ${from}`, from });
        await host.until(() => host.texts.includes(`from ${from}`));
      }
      const [first, second, third] = host.offered;
      assert.deepEqual(first?.sender.memberOf, [`audience:${guildId}/${room}`]);
      assert.equal(second?.sender.memberOf, undefined, "a member who cannot view it");
      assert.equal(third?.sender.memberOf, undefined, "no member at all");
      const before = asked(fake);
      fake.members.set(dan, [staff]);
      fake.write({ text: "in a thread", from: dan, channel: thread });
      await host.until(() => host.offered.length === 4);
      assert.deepEqual(
        [host.offered[3]?.sender.memberOf, asked(fake)],
        [undefined, before],
        "no direct chat",
      );
      fake.members.delete(ada);
      fake.write({ text: "at once", from: ada });
      await host.until(() => host.offered.length === 5);
      assert.equal(asked(fake), before, "it is not asked for each message");
      clock.advance(61_000);
      fake.write({ text: "a minute later", from: ada });
      await host.until(() => host.offered.length === 6);
      assert.equal(host.offered[5]?.sender.memberOf, undefined, "who left is out within a minute");
    },
    wanted,
  );

  scene(
    "channels (1): while Discord cannot say it, a direct message waits, and comes again",
    async ({ fake, host, channel }) => {
      furnish(fake);
      await channel.start(host);
      fake.api.fault("/members/", { kind: "answer", status: 500, body: {} });
      fake.write({ text: "wait for me", from: ada });
      await host.until(() => host.offered.length === 1);
      assert.deepEqual(host.offered[0]?.sender.memberOf, [`audience:${guildId}/${room}`]);
      assert.ok(states(host).includes("reconnecting"));
    },
    { ...wanted, ...passing },
  );

  scene("where the config names nobody so, nothing is asked", async ({ fake, host, channel }) => {
    furnish(fake);
    await channel.start(host);
    fake.write({ text: "hello", from: ada });
    await host.until(() => host.offered.length === 1);
    assert.equal(asked(fake), 0);
    assert.equal(host.offered[0]?.sender.memberOf, undefined);
  });
});

describe("discord: what goes out", () => {
  scene("discord (4): nobody is called, no preview is fetched, and a repeat is one message", async (it) => {
    const { fake, send } = it;
    const text = "@everyone look at https://collector.test/?d=1";
    const first = await send({ text, replyToMessageId: "55" });
    assert.equal((await send({ text })).outcome, "sent");
    assert.equal(fake.sent.length, 1);
    assert.deepEqual(fake.sent[0]?.request, {
      content: text,
      allowed_mentions: { parse: [], replied_user: false },
      flags: 4,
      nonce: fake.sent[0]?.request.nonce,
      enforce_nonce: true,
      message_reference: { message_id: "55", fail_if_not_exists: false },
    });
    assert.ok(String(fake.sent[0]?.request.nonce).length <= 25);
    assert.deepEqual(first, { outcome: "sent", platformId: fake.sent[0]?.id });
  });

  scene("choices are buttons, five in a row; what is too long for one is typed", async ({ fake, send }) => {
    const choices = Array.from({ length: 6 }, (_, at) => ({ label: `choice ${at}`, command: `/pick ${at}` }));
    await send({ text: "pick", choices: [...choices, { label: "long", command: `/x ${"y".repeat(120)}` }] });
    const rows = fake.sent[0]?.request.components as { components: { custom_id: string }[] }[];
    assert.deepEqual(
      rows.map((row) => row.components.length),
      [5, 1],
    );
    assert.equal(rows[0]?.components[0]?.custom_id, "cmd:/pick 0");
    assert.match(fake.sent[0]?.content ?? "", /\nlong: `\/x y+`$/);
  });

  scene("a file goes out as it is, under a name that ends no header", async ({ fake, send, folder }) => {
    const path = join(folder, "out.bin");
    const bytes = Buffer.from([0, 255, 13, 10, 45, 45]);
    writeFileSync(path, bytes);
    const file = { path, name: 'a"\r\nX: 1.bin', type: "application/x", bytes: bytes.length };
    assert.equal((await send({ text: "", file })).outcome, "sent");
    assert.equal(fake.sent[0]?.attachments[0]?.filename, "a___X_ 1.bin");
    assert.deepEqual(fake.sent[0]?.request.file, bytes);
    assert.equal((await send({ text: "", file: { ...file, bytes: 11 * 1024 * 1024 } })).outcome, "rejected");
    assert.equal((await send({ text: "", file: { ...file, path: "/none" } })).outcome, "rejected");
  });

  scene(
    "channels (6): what was not sent, because no direct channel opened, is a retry",
    async ({ fake, send }) => {
      fake.api.fault("/users/@me/channels", { kind: "closeAfter" });
      assert.equal((await send({})).outcome, "retry");
      assert.equal(fake.sent.length, 0);
      assert.equal((await send({})).outcome, "sent");
    },
  );

  scene("an id that is none reaches no other path of the API", async ({ fake, channel, send }) => {
    const evil: Conversation = { kind: "channel", id: "1/../../users/@me" };
    assert.equal((await send({ conversation: evil })).outcome, "rejected");
    assert.equal((await channel.edit!({ kind: "channel", id: room }, "1/../2", "x")).outcome, "rejected");
    channel.react!({ kind: "channel", id: room }, "1/../2", "👍");
    // Round trips enough for one that must not have left to arrive.
    for (const id of ["1", "2", "3"]) await send({ id, conversation: { kind: "channel", id: room } });
    assert.deepEqual(fake.api.callsOf("/reactions").length, 0);
    assert.equal(fake.api.calls.length, 3);
  });

  scene(
    "an edit replaces the text, and one without an answer is done again",
    async ({ fake, channel, send }) => {
      const sent = await send({ text: "first" });
      const id = sent.outcome === "sent" ? sent.platformId : "";
      fake.api.fault("PATCH", { kind: "closeAfter" });
      assert.equal((await channel.edit!(direct, id, "second")).outcome, "retry");
      assert.equal((await channel.edit!(direct, id, "second")).outcome, "sent");
      assert.equal(fake.sent[0]?.content, "second");
      assert.equal((await channel.edit!(direct, "55", "x")).outcome, "rejected");
    },
  );

  scene("a reaction replaces the one before, and none takes it away", async ({ fake, channel }) => {
    const id = "66";
    for (const emoji of ["👀", "✅", "✅", ""]) channel.react!({ kind: "channel", id: room }, id, emoji);
    await fake.api.until(() => fake.api.callsOf("/reactions/").length === 4);
    assert.deepEqual(
      fake.api
        .callsOf("/reactions/")
        .map(({ method, path }) => [method, decodeURIComponent(path.split("/")[8]!)]),
      [
        ["PUT", "👀"],
        ["DELETE", "👀"],
        ["PUT", "✅"],
        ["DELETE", "✅"],
      ],
    );
  });

  scene("typing is shown once in eight seconds and conversation", async ({ fake, channel, clock }) => {
    const place: Conversation = { kind: "channel", id: room };
    channel.typing(place);
    channel.typing(place);
    channel.typing({ ...place, threadId: thread });
    await fake.api.until(() => fake.api.callsOf("/typing").length === 2);
    clock.advance(8_000);
    channel.typing(place);
    await fake.api.until(() => fake.api.callsOf("/typing").length === 3);
  });

  scene("channels (6): after a crash in mid-send the history tells what was sent", async (it) => {
    const { fake, host, channel, send } = it;
    await channel.start(host);
    const asked = fake.write({ text: "question", from: ada });
    await fake.told(asked);
    const message = { id: "out", conversation: direct, text: "an **answer**", afterMessageId: asked };
    assert.equal(await channel.wasSent!(message, () => false), "absent");
    const sent = await send(message);
    const id = sent.outcome === "sent" ? sent.platformId : "";
    assert.deepEqual(await channel.wasSent!(message, () => false), { platformId: id, isExact: true });
    assert.equal(await channel.wasSent!(message, (known) => known === id), "absent");
    assert.equal(await channel.wasSent!({ ...message, afterMessageId: "x" }, () => false), "unknown");
    for (let count = 0; count < 510; count++) fake.write({ text: "noise", from: ada }, false);
    assert.equal(await channel.wasSent!({ ...message, text: "other" }, () => false), "unknown");
    fake.api.fault("GET /api/v10/channels", { kind: "closeBefore" });
    await assert.rejects(channel.wasSent!(message, () => false));
  });

  scene("a share that is used up is not asked for until Discord fills it", async ({ fake, send, clock }) => {
    const conversation: Conversation = { kind: "channel", id: room };
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "2" };
    fake.api.fault("/messages", { kind: "answer", status: 200, headers, body: { id: "77" } });
    await send({ conversation });
    const second = send({ conversation, id: "second" });
    const other = await send({ conversation: { kind: "channel", id: thread }, id: "other" });
    assert.equal(other.outcome, "sent");
    assert.equal(fake.sent.length, 1);
    clock.advance(2_000);
    assert.equal((await second).outcome, "sent");
  });

  scene("a limit on everything holds every call back", async ({ fake, send }) => {
    const body = { message: "slow", retry_after: 60, global: true };
    fake.api.fault("/messages", { kind: "answer", status: 429, body });
    const conversation: Conversation = { kind: "channel", id: room };
    assert.equal((await send({ conversation })).outcome, "retry");
    const calls = fake.api.calls.length;
    const other = await send({ conversation: { kind: "channel", id: thread } });
    assert.deepEqual(other.outcome === "retry" && other.retryAfterMs, 60_000);
    assert.equal(fake.api.calls.length, calls);
  });
});

describe("discord: files that come in", () => {
  const place = { kind: "channel", id: room } as const;
  const signal = new AbortController().signal;

  scene("a file is fetched by its message, within the limit, from Discord's host alone", async (it) => {
    const { fake, host, channel } = it;
    await channel.start(host);
    fake.files.set("/attachments/cat.png", Buffer.from("a cat"));
    const file = (id: string, url: string, size = 5) => ({
      id,
      filename: "cat.png",
      content_type: "image/png",
      size,
      url,
    });
    const own = `http://${fake.api.host}/attachments/cat.png`;
    fake.write({
      text: "",
      from: ben,
      channel: place.id,
      more: {
        attachments: [file("11", own), file("12", "https://169.254.169.254/latest"), file("13", own, 99)],
      },
    });
    await host.until(() => host.offered.length === 1);
    const attachments = host.offered[0]?.attachments ?? [];
    assert.equal(host.texts[0], "[image]");
    assert.equal(attachments[0]?.claimedType, "image/png");
    // Nothing was fetched for a message that nobody has admitted (attack A-072).
    assert.equal(fake.api.callsOf("/attachments").length, 0);
    const fetched = (at: number, most = 10) => channel.fetch!(attachments[at]!.reference, most, signal);
    assert.deepEqual(await fetched(0), Buffer.from("a cat"));
    assert.equal(fake.api.callsOf("/attachments")[0]?.headers.authorization, undefined);
    await assert.rejects(fetched(1), { name: "InputError", message: /not its own/ });
    await assert.rejects(fetched(2), { name: "InputError", message: /larger than 10 bytes/ });
    await assert.rejects(fetched(0, 4), { name: "InputError", message: /larger than 4 bytes/ });
    // The size that was claimed is a lie: what comes is counted.
    fake.files.set("/attachments/cat.png", Buffer.alloc(64));
    await assert.rejects(fetched(0), { name: "InputError", message: /larger than 10 bytes/ });
    await assert.rejects(channel.fetch!("1/../2", 10, signal), { name: "InputError" });
    await assert.rejects(channel.fetch!(`${room}/99/11`, 10, signal), {
      name: "InputError",
      message: /gone/,
    });
  });
});
