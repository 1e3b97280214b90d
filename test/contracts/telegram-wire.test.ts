import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Update } from "grammy/types";
import type { TelegramAccount } from "../../src/channels/telegram/settings.ts";
import type { Channel, OutboundMessage } from "../../src/delivery/channel.ts";
import { admit, Secret } from "../../src/kernel/mod.ts";
import { openTestChannel, testAccount } from "../support/telegram/harness.ts";
import { ManualClock } from "../support/telegram/manual-clock.ts";
import { FakeTelegram } from "../support/telegram/server.ts";
import { assertHidden, RecordingHost } from "./channel.ts";

interface Scene {
  readonly fake: FakeTelegram;
  readonly clock: ManualClock;
  readonly host: RecordingHost;
  readonly channel: Channel;
  readonly logs: string[];
  send(message: Partial<OutboundMessage>): ReturnType<Channel["send"]>;
}

/** `passes`: pauses go by at once. Nothing is started yet. */
function scene(
  title: string,
  body: (scene: Scene) => Promise<void>,
  more: (fake: FakeTelegram) => Partial<TelegramAccount> & { readonly passes?: boolean } = () => ({}),
): void {
  it(title, async () => {
    const fake = await FakeTelegram.start();
    const clock = new ManualClock();
    const { passes, ...settings } = more(fake);
    const host = new RecordingHost(passes ? () => clock.advance(61_000) : undefined);
    const logs: string[] = [];
    const channel = await openTestChannel(testAccount(fake, settings), clock, (level, text, fields) => {
      logs.push(JSON.stringify([level, text, fields]));
    });
    const send = (message: Partial<OutboundMessage>) =>
      channel.send({ id: "out", conversation: { kind: "direct", id: "42" }, text: "hi", ...message });
    try {
      await body({ fake, clock, host, channel, logs, send });
      await channel.stop();
      assertHidden([fake.token.split(":")[1]!], [host.statuses, logs]);
    } finally {
      await channel.stop();
      await fake.close();
    }
  });
}

const passing = () => ({ passes: true });
const states = (host: RecordingHost) => host.statuses.map((status) => status.state);

describe("telegram: long polling", () => {
  scene(
    "telegram (2): a webhook that is set is removed first, and nothing pending is dropped",
    async ({ fake, host, channel }) => {
      fake.deliver("written while the webhook was down");
      await fetch(`${fake.url}/bot${fake.token}/setWebhook`, {
        method: "POST",
        body: '{"url":"http://127.0.0.1:1/x"}',
      });
      await channel.start(host);
      await host.until(() => host.offered.length === 1);
      assert.deepEqual(
        fake.callsOf("deleteWebhook").map((call) => call.payload),
        [{ drop_pending_updates: false }],
      );
    },
  );

  scene("only messages and buttons are asked for", async ({ fake, host, channel }) => {
    await channel.start(host);
    await fake.polled();
    assert.deepEqual(fake.callsOf("getUpdates").at(-1)?.payload, {
      timeout: 30,
      limit: 100,
      allowed_updates: ["message", "callback_query"],
    });
    assert.equal(fake.callsOf("deleteWebhook").length, 0);
    assert.deepEqual(host.statuses.at(-1), {
      state: "connected",
      identity: "@house_bot",
      lastConfirmedAtMs: 1_700_000_000_000,
    });
  });

  scene(
    "channels (3): other chats go on while one waits, sixteen at once",
    async ({ fake, host, channel }) => {
      const stored = Promise.withResolvers<void>();
      host.answer = async () => {
        await stored.promise;
        return admit({ messageId: "1" });
      };
      for (let person = 1; person <= 20; person += 1) fake.deliver({ text: "1", from: person });
      const last = fake.deliver({ text: "2", from: 1 });
      const started = channel.start(host);
      await host.until(() => host.offered.length === 16);
      await started;
      assert.equal(host.offered.length, 16);
      stored.resolve();
      await fake.until(() => !fake.queue.pending.includes(last));
      assert.equal(host.offered.length, 21);
      assert.equal(host.texts.at(-1), "2");
    },
  );

  scene(
    "telegram (1): a chat that could not be stored keeps its place, others are not handed in twice",
    async ({ fake, host, channel }) => {
      let failures = 1;
      host.answer = async ({ sender }) => {
        if (sender.id === "1" && failures-- > 0) throw new Error("no space left on device");
        return admit({ messageId: "1" });
      };
      fake.deliver({ text: "a1", from: 1 });
      fake.deliver({ text: "b1", from: 2 });
      fake.deliver({ text: "a2", from: 1 });
      const last = fake.deliver({ text: "b2", from: 2 });
      await channel.start(host);
      await fake.until(() => !fake.queue.pending.includes(last));
      assert.deepEqual([...host.texts].sort(), ["a1", "a1", "a2", "b1", "b2"]);
      assert.ok(host.texts.lastIndexOf("a1") < host.texts.indexOf("a2"));
      const trouble = host.statuses.find((status) => status.state === "reconnecting");
      assert.match(trouble?.detail ?? "", /could not be stored/);
      assert.equal(host.statuses.at(-1)?.state, "connected");
    },
    passing,
  );

  scene(
    "telegram (1): nothing is confirmed by the request that follows a failure",
    async ({ fake, clock, host, channel }) => {
      host.answer = async () => {
        throw new Error("no space left on device");
      };
      const first = fake.deliver("hello");
      await channel.start(host);
      await host.until(() => states(host).includes("reconnecting"));
      clock.advance(61_000);
      await host.until(() => states(host).filter((state) => state === "reconnecting").length === 2);
      assert.equal(host.offered.length, 2);
      // An answer alone does not count as connected again while nothing can be stored.
      assert.deepEqual(states(host), ["starting", "connected", "reconnecting", "reconnecting"]);
      assert.deepEqual(fake.queue.pending, [first]);
      assert.deepEqual(
        fake.callsOf("getUpdates").map((call) => call.payload.offset),
        [undefined, undefined],
      );
    },
  );

  scene(
    "telegram (2): after a week Telegram counts from a lower number, and nothing is lost",
    async ({ fake, host, channel }) => {
      await channel.start(host);
      const high = fake.deliverUpdate({ ...messageOf("high"), update_id: 9_000_000 });
      await fake.until(() => !fake.queue.pending.includes(high));
      const low = fake.deliverUpdate({ ...messageOf("low"), update_id: 500 });
      await fake.until(() => !fake.queue.pending.includes(low));
      assert.deepEqual(host.texts, ["high", "low"]);
      assert.equal(fake.callsOf("getUpdates").at(-1)?.payload.offset, 501);
    },
  );

  scene("an update that cannot be read is let go, and said so", async ({ fake, host, channel, logs }) => {
    await channel.start(host);
    fake.deliverUpdate({ message: { message_id: 1, text: "no chat" } } as never);
    const good = fake.deliver("good");
    await fake.until(() => !fake.queue.pending.includes(good));
    assert.deepEqual(host.texts, ["good"]);
    assert.equal(logs.length, 1);
    assert.match(logs[0]!, /could not be read/);
  });

  scene(
    "channels (8): a second poller is a conflict that is named, and taken up again after 30 s",
    async ({ fake, clock, host, channel }) => {
      await channel.start(host);
      await fake.polled();
      await fetch(`${fake.url}/bot${fake.token}/getUpdates`, { method: "POST", body: "{}" });
      await host.until(() => states(host).includes("failed"));
      assert.match(host.statuses.at(-1)?.detail ?? "", /another process is receiving this bot's messages/);
      assert.deepEqual(clock.waiting, [30_000]);
      clock.advance(30_000);
      await host.until(() => host.statuses.at(-1)?.state === "connected");
    },
  );

  scene(
    "channels (8): start resolves although the token is refused, and says so",
    async ({ fake, clock, host, channel }) => {
      fake.tokenIsValid = false;
      await channel.start(host);
      assert.deepEqual(states(host), ["starting", "failed"]);
      assert.match(host.statuses[1]?.detail ?? "", /^token revoked: .*@BotFather/);
      fake.tokenIsValid = true;
      clock.advance(300_000);
      await host.until(() => host.statuses.at(-1)?.state === "connected");
    },
  );

  scene(
    "channels (8): a poll that is never answered is cut after 40 s",
    async ({ fake, clock, host, channel }) => {
      await channel.start(host);
      await fake.polled();
      fake.fault("getUpdates", { kind: "hang" });
      const id = fake.deliver("one");
      await fake.until(() => fake.callsOf("getUpdates").length === 3);
      clock.advance(39_999);
      assert.equal(host.statuses.at(-1)?.state, "connected");
      clock.advance(1);
      await host.until(() => states(host).includes("reconnecting"));
      assert.match(host.statuses.at(-1)?.detail ?? "", /TIMEOUT/);
      clock.advance(61_000);
      await fake.until(() => !fake.queue.pending.includes(id));
      assert.deepEqual(host.texts, ["one"]);
    },
  );

  scene(
    "channels (8): pauses grow while Telegram cannot be reached, and begin anew afterwards",
    async ({ fake, clock, host, channel }) => {
      await fake.suspend();
      const pauses: number[] = [];
      await channel.start(host);
      for (let attempt = 1; attempt <= 7; attempt += 1) {
        await host.until(() => host.statuses.length === attempt + 1);
        assert.equal(host.statuses.at(-1)?.state, "reconnecting");
        assert.match(host.statuses.at(-1)?.detail ?? "", /cannot be reached.*ECONNREFUSED/);
        pauses.push(clock.waiting[0]!);
        if (attempt < 7) clock.advance(pauses.at(-1)!);
      }
      assert.deepEqual(pauses, [1500, 3000, 6000, 12_000, 24_000, 45_000, 45_000]);
      await fake.resume();
      clock.advance(60_000);
      await host.until(() => host.statuses.at(-1)?.state === "connected");
      fake.cutConnections();
      await host.until(() => host.statuses.at(-1)?.state === "reconnecting");
      assert.deepEqual(clock.waiting, [1500]);
    },
  );

  scene("channels (8): Telegram's own pause is kept", async ({ fake, clock, host, channel }) => {
    fake.fault("getMe", {
      kind: "answer",
      status: 429,
      description: "Too Many Requests",
      parameters: { retry_after: 90 },
    });
    await channel.start(host);
    assert.equal(host.statuses.at(-1)?.state, "reconnecting");
    assert.deepEqual(clock.waiting, [90_000]);
  });

  scene(
    "a proxy that does not hold the request open is asked once a second",
    async ({ fake, clock, host, channel }) => {
      fake.fault("getUpdates", { kind: "raw", status: 200, body: '{"ok":true,"result":[]}' }, 3);
      await channel.start(host);
      for (let calls = 2; calls <= 3; calls += 1) {
        await fake.until(() => fake.callsOf("getUpdates").length === calls);
        while (!clock.waiting.includes(1_000)) await new Promise(setImmediate);
        clock.advance(1_000);
      }
      await fake.polled();
      assert.equal(fake.callsOf("getUpdates").length, 4);
    },
  );

  scene(
    "channels (7): stop tells Telegram what is stored, so that the next start has no repeats",
    async ({ fake, host, channel }) => {
      const stored = Promise.withResolvers<void>();
      host.answer = async () => {
        await stored.promise;
        return admit({ messageId: "1" });
      };
      await channel.start(host);
      fake.deliver("hello");
      await host.until(() => host.offered.length === 1);
      const stopping = channel.stop();
      stored.resolve();
      await stopping;
      assert.deepEqual(fake.queue.pending, []);
      assert.deepEqual(states(host).slice(-1), ["stopped"]);
    },
  );

  scene("a channel is started once", async ({ host, channel }) => {
    await channel.start(host);
    assert.throws(() => channel.start(host), /started before/);
  });

  scene(
    "telegram (5): a pressed button is answered after its message is stored",
    async ({ fake, host, channel }) => {
      await channel.start(host);
      const press = (data: string) =>
        fake.deliverUpdate({
          callback_query: {
            id: `q ${data}`,
            from: person,
            chat_instance: "c",
            data,
            message: { ...messageOf("?").message, from: us },
          },
        } as never);
      press("cmd:/approve 1 deny");
      await fake.until(() => fake.callsOf("answerCallbackQuery").length === 1);
      press("of another program");
      await fake.until(() => fake.callsOf("answerCallbackQuery").length === 2);
      assert.deepEqual(host.texts, ["/approve 1 deny"]);
      assert.deepEqual(fake.callsOf("answerCallbackQuery")[0]?.payload, {
        callback_query_id: "q cmd:/approve 1 deny",
      });
    },
  );
});

describe("telegram: webhook", () => {
  const secret = "A_secret-of_256";
  const hook = () => ({
    mode: { url: "http://127.0.0.1:1/hook", secret: new Secret(secret), path: "/hook" },
  });
  const header = (value: string) => ({ "x-telegram-bot-api-secret-token": value });
  const body = (value: object) => Buffer.from(JSON.stringify(value));

  scene(
    "channels (10): only Telegram's own secret opens the door (attack A-171)",
    async ({ channel }) => {
      const { webhook } = channel;
      assert.ok(webhook);
      assert.equal(webhook.path, "/hook");
      assert.equal(webhook.maxBodyBytes, 1024 * 1024);
      const empty = Buffer.alloc(0);
      assert.equal(webhook.verify(header(secret), empty).ok, true);
      const wrong = [
        "",
        " ",
        secret.slice(0, -1),
        `${secret}x`,
        `${secret}, ${secret}`,
        secret.toLowerCase(),
        `${secret} `,
        "\ud800",
      ];
      for (const value of wrong) {
        const verdict = webhook.verify(header(value), empty);
        assert.ok(!verdict.ok && verdict.reason === "channels.webhook_secret_mismatch", value);
      }
      const missing = webhook.verify({ authorization: secret }, empty);
      assert.ok(!missing.ok && missing.reason === "channels.webhook_secret_missing");
      const large = webhook.verify(header(secret), Buffer.alloc(webhook.maxBodyBytes + 1));
      assert.ok(!large.ok && large.reason === "channels.webhook_body_too_large");
    },
    hook,
  );

  scene(
    "telegram (2): it is registered with the secret, for what we read, and nothing pending is dropped",
    async ({ fake, channel, host }) => {
      await channel.start(host);
      assert.deepEqual(
        fake.callsOf("setWebhook").map((call) => call.payload),
        [
          {
            url: "http://127.0.0.1:1/hook",
            secret_token: secret,
            allowed_updates: ["message", "callback_query"],
            drop_pending_updates: false,
            max_connections: 16,
          },
        ],
      );
      assertHidden([secret], host.statuses);
    },
    hook,
  );

  scene(
    "channels (1): 200 only when stored or not for us, 503 when not, 400 for what is no update",
    async ({ channel, host }) => {
      const receive = async (value: Buffer) => channel.webhook?.receive(value);
      const update = body({ update_id: 5, ...messageOf("hello") });
      assert.equal(await receive(update), 503);
      await channel.start(host);
      host.answer = async () => {
        throw new Error("no space left on device");
      };
      assert.equal(await receive(update), 503);
      host.answer = async () => admit({ messageId: "1" });
      assert.equal(await receive(update), 200);
      assert.equal(await receive(body({ update_id: 6, edited_message: messageOf("edit").message })), 200);
      assert.deepEqual(
        host.offered.map((message) => message.eventId),
        ["5", "5"],
      );
      for (const text of ["", "{", "null", "[]", "{}", '{"update_id":"5"}', '{"update_id":1e99}']) {
        assert.equal(await receive(Buffer.from(text)), 400, text);
      }
      await channel.stop();
      assert.equal(await receive(update), 503);
    },
    hook,
  );

  scene(
    "channels (8): a webhook that somebody else changed is set again",
    async ({ fake, clock, channel, host }) => {
      await channel.start(host);
      await fetch(`${fake.url}/bot${fake.token}/setWebhook`, {
        method: "POST",
        body: '{"url":"http://127.0.0.1:1/evil"}',
      });
      clock.advance(300_000);
      await fake.until(() => fake.callsOf("setWebhook").length === 3);
      assert.equal(fake.callsOf("setWebhook")[2]?.payload.secret_token, secret);
      await fake.until(() => fake.webhookUrl === "http://127.0.0.1:1/hook");
    },
    hook,
  );

  scene(
    "a webhook that Telegram does not take is failed, with its reason",
    async ({ fake, host, channel }) => {
      fake.fault("setWebhook", {
        kind: "answer",
        status: 400,
        description: "Bad Request: bad webhook: IP address 127.0.0.1 is reserved",
      });
      await channel.start(host);
      assert.equal(host.statuses.at(-1)?.state, "failed");
      assert.match(host.statuses.at(-1)?.detail ?? "", /bad webhook: IP address/);
    },
    hook,
  );
});

describe("telegram: sending", () => {
  scene(
    "telegram (4): formatted where possible, without previews, in the topic, as a reply",
    async ({ fake, send }) => {
      const result = await send({
        text: "**done** <script>",
        conversation: { kind: "group", id: "-1001", threadId: "8" },
        replyToMessageId: "55",
      });
      assert.deepEqual(result, { outcome: "sent", platformId: "1" });
      assert.deepEqual(fake.sent[0]?.payload, {
        chat_id: "-1001",
        text: "<b>done</b> &lt;script&gt;",
        parse_mode: "HTML",
        link_preview_options: { is_disabled: true },
        message_thread_id: 8,
        reply_parameters: { message_id: 55, allow_sending_without_reply: true },
      });
    },
  );

  scene("the General topic has no number, and a plain text no parse mode", async ({ fake, send }) => {
    await send({
      text: "plain",
      conversation: { kind: "group", id: "-1001", threadId: "1" },
      replyToMessageId: "not a number",
    });
    assert.deepEqual(fake.sent[0]?.payload, {
      chat_id: "-1001",
      text: "plain",
      link_preview_options: { is_disabled: true },
    });
  });

  scene("formatting that Telegram cannot read is sent as it was written", async ({ fake, send }) => {
    fake.fault("sendMessage", {
      kind: "answer",
      status: 400,
      description: "Bad Request: can't parse entities: x",
    });
    assert.equal((await send({ text: "**x**" })).outcome, "sent");
    assert.deepEqual(
      fake.sent.map((message) => message.text),
      ["**x**"],
    );
    fake.fault(
      "sendMessage",
      { kind: "answer", status: 400, description: "Bad Request: can't parse entities: x" },
      2,
    );
    assert.equal((await send({ text: "**x**" })).outcome, "rejected");
  });

  scene("choices are buttons, and those that do not fit are typed", async ({ fake, send }) => {
    const long = `/approve ${"x".repeat(60)} deny`;
    await send({
      text: "Allow?",
      choices: [
        { label: "Once", command: "/approve a1 allow-once" },
        { label: "Never", command: long },
        { label: "ok", command: `/${"ö".repeat(30)}` },
      ],
    });
    assert.deepEqual(fake.sent[0]?.buttons, [{ text: "Once", data: "cmd:/approve a1 allow-once" }]);
    assert.equal(fake.sent[0]?.text, `Allow?\n\nNever: ${long}\nok: /${"ö".repeat(30)}`);
    await send({ text: "y".repeat(4096), choices: [{ label: "Never", command: long }] });
    assert.ok(fake.sent[1]!.text.endsWith(long));
  });

  scene("channels (6): what a broken answer means", async ({ fake, clock, send }) => {
    const outcome = async () => (await send({})).outcome;
    fake.fault("sendMessage", { kind: "cut" });
    assert.equal(await outcome(), "unknown");
    fake.fault("sendMessage", { kind: "raw", status: 502, body: "<html>Bad Gateway</html>" });
    assert.equal(await outcome(), "unknown");
    fake.fault("sendMessage", { kind: "raw", status: 200, body: "<html>captive portal</html>" });
    assert.equal(await outcome(), "unknown");
    fake.fault("sendMessage", { kind: "raw", status: 302, body: "" });
    assert.equal(await outcome(), "rejected");
    fake.fault("sendMessage", { kind: "answer", status: 500, description: "Internal Server Error" });
    assert.equal(await outcome(), "retry");
    fake.fault("sendMessage", { kind: "closeBefore" });
    assert.equal(await outcome(), "unknown");
    fake.missing.add("42");
    assert.equal(await outcome(), "rejected");
    assert.equal((await send({ text: " \n" })).outcome, "rejected");
    fake.fault("sendMessage", { kind: "hang" });
    const seen = fake.callsOf("sendMessage").length;
    const hanging = send({});
    await fake.until(() => fake.callsOf("sendMessage").length === seen + 1);
    clock.advance(30_000);
    assert.deepEqual(await hanging, { outcome: "unknown", detail: "no answer (TIMEOUT)" });
  });

  scene(
    "channels (9): a rejection does not repeat the token that an answer repeats",
    async ({ fake, send }) => {
      fake.fault("sendMessage", {
        kind: "answer",
        status: 404,
        description: `Not Found: /bot${fake.token}/sendMessage`,
      });
      const result = await send({});
      assert.equal(result.outcome, "rejected");
      assertHidden([fake.token, fake.token.split(":")[1]!], result);
    },
  );

  scene(
    "typing goes to the topic, and a failure of it is nobody's concern",
    async ({ fake, channel, send }) => {
      fake.fault("sendChatAction", { kind: "closeBefore" });
      channel.typing({ kind: "group", id: "-1001", threadId: "8" });
      await fake.until(() => fake.callsOf("sendChatAction").length === 1);
      assert.deepEqual(fake.callsOf("sendChatAction")[0]?.payload, {
        chat_id: "-1001",
        action: "typing",
        message_thread_id: 8,
      });
      assert.equal((await send({})).outcome, "sent");
    },
  );
});

const person = { id: 42, is_bot: false, first_name: "Ada" };
const us = { id: 123456, is_bot: true, first_name: "House", username: "house_bot" };

function messageOf(text: string): { readonly message: NonNullable<Update["message"]> } {
  const chat = { id: 42, type: "private", first_name: "Ada" } as const;
  return { message: { message_id: 1, date: 1, from: person, chat, text } as NonNullable<Update["message"]> };
}
