import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GithubAccount } from "../../src/channels/github/settings.ts";
import type { Channel, Conversation, OutboundMessage } from "../../src/delivery/channel.ts";
import { admit } from "../../src/kernel/mod.ts";
import { appAuth, Front, openTestGithub, people, testAccount, tokenAuth } from "../support/github/harness.ts";
import { FakeGithub, seen } from "../support/github/server.ts";
import { ManualClock } from "../support/telegram/manual-clock.ts";
import { assertHidden, RecordingHost } from "./channel.ts";

interface Scene {
  readonly fake: FakeGithub;
  readonly clock: ManualClock;
  readonly host: RecordingHost;
  readonly channel: Channel;
  readonly front: Front;
  readonly logs: string[];
  send(message?: Partial<OutboundMessage>): ReturnType<Channel["send"]>;
  /** Lets a minute go by, and waits for GitHub's log to be read. */
  nextRound(): Promise<void>;
}

const { ada } = people;
const issue: Conversation = { kind: "group", id: "house/repo", threadId: "1", spaceId: "house" };
const onThread = (threadId: string): Conversation => ({ ...issue, threadId });
const rejected = "rejected";

/** Nothing is started yet. */
function scene(
  title: string,
  body: (scene: Scene) => Promise<void>,
  more: (fake: FakeGithub) => Partial<GithubAccount> = () => ({}),
): void {
  it(title, async () => {
    const fake = await FakeGithub.start();
    const clock = new ManualClock();
    const host = new RecordingHost();
    const front = new Front();
    const logs: string[] = [];
    fake.postTo = await front.open();
    fake.now = () => clock.now();
    const channel = openTestGithub(testAccount(fake, more(fake)), clock, (level, text, fields) => {
      logs.push(JSON.stringify([level, text, fields]));
    });
    front.channel = channel;
    const results: unknown[] = [];
    try {
      await body({
        fake,
        clock,
        host,
        channel,
        front,
        logs,
        async send(message = {}) {
          const result = await channel.send({ id: "out", conversation: issue, text: "hi", ...message });
          results.push(result);
          return result;
        },
        async nextRound() {
          const before = host.statuses.length;
          clock.advance(60_000);
          await host.until(() => host.statuses.length > before);
          await new Promise(setImmediate);
        },
      });
      await channel.stop();
      assertHidden(fake.secrets, [host.statuses, logs, results]);
    } finally {
      await channel.stop();
      await fake.close();
      await front.close();
    }
  });
}

const posted = (value: object) => Buffer.from(JSON.stringify(value));
const detail = (host: RecordingHost) => host.statuses.at(-1)?.detail ?? "";

describe("github: webhooks", () => {
  scene("github (1): only the signature of these very bytes proves an event (attack A-172)", async (it) => {
    const { fake, channel } = it;
    const body = Buffer.from('{"action": "created"}');
    const right = fake.signed(body.toString())["x-hub-signature-256"]!;
    const verify = (signature: string | undefined, bytes = body) =>
      channel.webhook!.verify({ "x-hub-signature-256": signature }, bytes);
    assert.equal(verify(right).ok, true);
    const refused = [
      [undefined, body],
      ["", body],
      [`${right} `, body],
      [right.slice(0, -2), body],
      [right.toUpperCase(), body],
      [right.replace("sha256=", ""), body],
      [right.replace("sha256=", "sha1="), body],
      [`${right},${right}`, body],
      [right, Buffer.from('{"action":"created"}')],
      [right, Buffer.from('{"action": "created"} ')],
    ] as const;
    for (const [signature, bytes] of refused) assert.equal(verify(signature, bytes).ok, false, signature);
    const sha1 = { "x-hub-signature": right };
    assert.equal(channel.webhook!.verify(sha1, body).ok, false);
    const large = Buffer.alloc(channel.webhook!.maxBodyBytes + 1, " ");
    assert.equal(verify(fake.signed(large.toString())["x-hub-signature-256"], large).ok, false);
  });

  scene(
    "github (2): nothing is taken before the start and after the end; what is no event is 400",
    async (it) => {
      const { fake, host, channel } = it;
      const { body } = fake.comment({ text: "hello", from: ada });
      assert.equal(await channel.webhook!.receive(posted(body)), 503);
      await channel.start(host);
      for (const text of ["", "payload=%7B%7D", "[]", "null", "{"]) {
        assert.equal(await channel.webhook!.receive(Buffer.from(text)), 400, text);
      }
      assert.equal(await channel.webhook!.receive(posted({ zen: "Design for failure.", hook_id: 1 })), 200);
      await channel.stop();
      assert.equal(await channel.webhook!.receive(posted(body)), 503);
      assert.deepEqual(host.offered, []);
    },
  );

  scene("channels (3): what comes behind a message that cannot be stored waits for it", async (it) => {
    const { fake, host, channel, clock } = it;
    await channel.start(host);
    let failures = 2;
    host.answer = async ({ text }) => {
      if (text === "first" && failures-- > 0) throw new Error("no space left on device");
      return admit({ messageId: text });
    };
    const events = ["first", "second"].map((text) => posted(fake.comment({ text, from: ada }).body));
    const answers = events.map((event) => channel.webhook!.receive(event));
    // GitHub has lost its patience, and posts the first one again.
    answers.push(channel.webhook!.receive(events[0]!));
    for (let count = 1; count <= 2; count++) {
      await host.until(() => host.statuses.filter(({ state }) => state === "reconnecting").length === count);
      await new Promise(setImmediate);
      clock.advance(10_000);
    }
    assert.deepEqual(await Promise.all(answers), [200, 200, 200]);
    assert.deepEqual(host.texts, ["first", "first", "first", "second"]);
    assert.equal(host.statuses.at(-1)?.state, "connected");
  });

  scene(
    "github (1): a signed body that is repeated later is let go, or is the same message (attack A-180)",
    async (it) => {
      const { fake, host, channel, clock, logs } = it;
      await channel.start(host);
      const { key, body } = fake.comment({ text: "delete it all", from: ada });
      assert.equal(await channel.webhook!.receive(posted(body)), 200);
      assert.equal(await channel.webhook!.receive(posted(body)), 200);
      clock.advance(5 * 24 * 3_600_000);
      assert.equal(await channel.webhook!.receive(posted(body)), 200);
      assert.deepEqual(
        host.offered.map(({ eventId }) => eventId),
        [key, key],
      );
      assert.ok(logs.some((line) => line.includes("something old")));
      const undated = fake.comment({ text: "no date", from: ada, more: { created_at: null } });
      assert.equal(await channel.webhook!.receive(posted(undated.body)), 200);
      assert.equal(host.offered.length, 2);
    },
  );

  scene(
    "github: events of another installation are let go",
    async ({ fake, host, channel, logs }) => {
      await channel.start(host);
      const other = fake.comment({ text: "theirs", from: ada, event: { installation: { id: 556 } } });
      const none = fake.comment({ text: "nobody's", from: ada, event: { installation: null } });
      const own = fake.comment({ text: "ours", from: ada });
      for (const { body } of [other, none, own]) await channel.webhook!.receive(posted(body));
      assert.deepEqual(host.texts, ["ours"]);
      assert.ok(logs.some((line) => line.includes("another installation")));
    },
    (fake) => ({ auth: appAuth(fake, 555) }),
  );
});

describe("github: what did not arrive", () => {
  scene("github (2): it is asked for again from GitHub's log, over several pages, and once", async (it) => {
    const { fake, host, channel, front, nextRound } = it;
    front.channel = undefined;
    fake.pageSize = 2;
    const missed = ["1", "2", "3"].map((text) => fake.write({ text, from: ada }));
    await fake.api.until(() => fake.deliveries.every(({ status }) => status === 401));
    front.channel = channel;
    await channel.start(host);
    await Promise.all(missed.map((key) => fake.taken(key)));
    assert.deepEqual(host.texts, ["1", "2", "3"]);
    await nextRound();
    await nextRound();
    assert.equal(fake.deliveries.length, 6);
    assert.equal(host.offered.length, 3);
  });

  scene("github (2): what never arrives is asked for less and less, and the status says so", async (it) => {
    const { fake, host, channel, front, nextRound } = it;
    await channel.start(host);
    front.channel = undefined;
    fake.write({ text: "lost", from: ada });
    await fake.api.until(() => fake.deliveries[0]?.status === 401);
    const asked: number[] = [];
    for (let minute = 1; minute <= 16; minute++) {
      const before = fake.deliveries.length;
      await nextRound();
      await fake.api.until(() => fake.deliveries.every(({ status }) => status !== undefined));
      if (fake.deliveries.length > before) asked.push(minute);
    }
    assert.deepEqual(asked, [1, 2, 4, 8, 16]);
    assert.match(detail(host), /cannot deliver to \/github\/events \(1 events/);
    front.channel = channel;
    fake.again(fake.deliveries[0]!.key);
    await host.until(() => host.offered.length === 1);
    await fake.taken(fake.deliveries[0]!.key);
    await nextRound();
    assert.equal(detail(host), "");
  });

  scene("github (2): what GitHub keeps no more is forgotten", async (it) => {
    const { fake, host, channel, front, nextRound, clock } = it;
    await channel.start(host);
    front.channel = undefined;
    fake.write({ text: "lost", from: ada });
    await fake.api.until(() => fake.deliveries[0]?.status === 401);
    for (let minute = 1; minute <= 2; minute++) {
      await nextRound();
      await fake.api.until(() => fake.deliveries.every(({ status }) => status !== undefined));
    }
    assert.match(detail(host), /cannot deliver/);
    const { length } = fake.deliveries;
    clock.advance(3 * 24 * 3_600_000 + 60_000);
    await host.until(() => detail(host) === "");
    assert.equal(fake.deliveries.length, length);
  });

  scene(
    "channels (8): a log that cannot be read now is tried again",
    async ({ fake, host, channel, clock }) => {
      fake.api.fault("/app/hook/deliveries", { kind: "answer", status: 502, body: "<html>" });
      await channel.start(host);
      assert.deepEqual([host.statuses.at(-1)?.state, /HTTP 502/.test(detail(host))], ["reconnecting", true]);
      await new Promise(setImmediate);
      clock.advance(60_000);
      await host.until(() => host.statuses.at(-1)?.state === "connected");
    },
  );

  scene(
    "github: events that we do not take, and those that GitHub has no more, are not asked for",
    async (it) => {
      const { fake, host, channel, front, nextRound } = it;
      front.channel = undefined;
      fake.deliver("push", { ref: "refs/heads/main" }, "push/1");
      fake.write({ text: "gone", from: ada });
      await fake.api.until(() => fake.deliveries.every(({ status }) => status === 401));
      fake.api.fault("/attempts", { kind: "answer", status: 404, body: {} });
      await channel.start(host);
      await nextRound();
      assert.equal(fake.deliveries.length, 2);
      assert.equal(fake.api.callsOf("/attempts").length, 1);
    },
  );

  scene("github (6): a next page on another server is not asked for", async ({ fake, host, channel }) => {
    const elsewhere = await FakeGithub.start();
    const link = `<http://${elsewhere.api.host}/api/v3/app/hook/deliveries?cursor=1>; rel="next"`;
    fake.api.fault("/app/hook/deliveries", { kind: "answer", status: 200, headers: { link }, body: [] });
    await channel.start(host);
    assert.deepEqual(elsewhere.api.calls, []);
    assert.equal(fake.api.callsOf("/deliveries").length, 1);
    assert.equal(host.statuses.at(-1)?.state, "connected");
    await elsewhere.close();
  });

  scene(
    "github: with a token that may not look at webhooks, the status says what is lost",
    async ({ fake, host, channel }) => {
      fake.mayReadHooks = false;
      await channel.start(host);
      assert.equal(host.statuses.at(-1)?.state, "connected");
      assert.match(detail(host), /is lost: its log cannot be read/);
      fake.write({ text: "still heard", from: ada, repository: "house/repo" });
      await host.until(() => host.offered.length === 1);
    },
    (fake) => ({ auth: tokenAuth(fake, ["house/repo"]) }),
  );
});

describe("github: credentials", () => {
  scene("github (6): a token is for one repository, and kept until shortly before it ends", async (it) => {
    const { fake, clock, send } = it;
    const to = (id: string) => send({ conversation: { ...issue, id } });
    await Promise.all([to("house/one"), to("house/one"), to("House/One")]);
    assert.equal(fake.mintedTokens.length, 1);
    assert.equal((await to("house/two")).outcome, "sent");
    assert.equal(fake.mintedTokens.length, 2);
    clock.advance(57 * 60_000);
    await to("house/one");
    assert.equal(fake.mintedTokens.length, 2);
    clock.advance(61_000);
    const results = await Promise.all([to("house/one"), to("house/one")]);
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ["sent", "sent"],
    );
    assert.equal(fake.mintedTokens.length, 3);
  });

  scene("channels (6): a token that ends early is a retry, and the next try has a new one", async (it) => {
    const { fake, send } = it;
    await send();
    fake.revokeMinted();
    assert.equal((await send()).outcome, "retry");
    assert.equal((await send()).outcome, "sent");
    assert.equal(fake.mintedTokens.length, 2);
  });

  scene("channels (6): a token that cannot be had is asked for again", async ({ fake, send }) => {
    fake.api.fault("/access_tokens", { kind: "closeAfter" });
    assert.equal((await send()).outcome, "retry");
    fake.api.fault("/access_tokens", { kind: "answer", status: 201, body: { token: "" } });
    assert.equal((await send()).outcome, "retry");
    fake.api.fault("/installation", { kind: "answer", status: 404, body: {} });
    const result = await send();
    assert.equal(result.outcome, rejected);
    assert.equal((await send()).outcome, "sent");
  });

  scene("channels (8): a key that GitHub does not take is failed and says what to do", async (it) => {
    const { fake, host, channel, clock } = it;
    fake.keyIsValid = false;
    await channel.start(host);
    assert.equal(host.statuses.at(-1)?.state, "failed");
    assert.match(detail(host), /check appId/);
    fake.keyIsValid = true;
    await new Promise(setImmediate);
    clock.advance(300_000);
    await host.until(() => host.statuses.at(-1)?.state === "connected");
    assert.equal(host.statuses.at(-1)?.identity, "@house-bot");
  });

  scene(
    "channels (8): a revoked token is failed, and rejects what is sent",
    async ({ fake, host, channel, send }) => {
      await channel.start(host);
      fake.tokenIsValid = false;
      const result = await send();
      assert.ok(result.outcome === rejected && /make a new one/.test(result.detail));
      await channel.stop();
      assert.equal(host.statuses[1]?.identity, "@house-user");
    },
    (fake) => ({ auth: tokenAuth(fake, []) }),
  );

  scene(
    "channels (8): a token that is revoked while we run is found within a minute, and told with what to do",
    async ({ fake, host, channel, clock }) => {
      await channel.start(host);
      assert.equal(host.statuses.at(-1)?.state, "connected");
      fake.tokenIsValid = false;
      while (!clock.waiting.includes(60_000)) await new Promise(setImmediate);
      clock.advance(60_000);
      await host.until(() => host.statuses.at(-1)?.state === "failed");
      assert.match(detail(host), /^token revoked or ended: make a new one/);
    },
    (fake) => ({ auth: tokenAuth(fake, []) }),
  );

  scene("channels (8): an API that says nothing more is noticed, and asked again", async (it) => {
    const { fake, host, channel, clock } = it;
    fake.api.fault("GET /api/v3/app", { kind: "hang" });
    const started = channel.start(host);
    await fake.api.until(() => fake.api.calls.length === 1);
    assert.equal(host.statuses.at(-1)?.state, "starting");
    clock.advance(30_000);
    await started;
    assert.equal(host.statuses.at(-1)?.state, "reconnecting");
    assert.match(detail(host), /cannot be reached: no answer \(TIMEOUT\)/);
    await new Promise(setImmediate);
    clock.advance(60_000);
    await host.until(() => host.statuses.at(-1)?.state === "connected");
  });

  scene("channels (8): a pause that GitHub asks for is kept", async ({ fake, host, channel, clock }) => {
    const reset = String(clock.now() / 1000 + 120);
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
    fake.api.fault("GET /api/v3/app", { kind: "answer", status: 403, headers, body: {} });
    await channel.start(host);
    assert.match(detail(host), /asks for 120 s of pause/);
    await new Promise(setImmediate);
    clock.advance(119_000);
    assert.equal(fake.api.calls.length, 1);
    clock.advance(1_000);
    await host.until(() => host.statuses.at(-1)?.state === "connected");
  });
});

describe("github: sending", () => {
  scene("channels (6): what each answer means", async ({ fake, send }) => {
    await send();
    const secondary = { message: "You have exceeded a secondary rate limit." };
    for (const [status, body, outcome] of [
      [400, {}, rejected],
      [403, {}, rejected],
      [404, {}, rejected],
      [410, {}, rejected],
      [422, {}, rejected],
      [500, {}, "unknown"],
      [502, "<html>", "unknown"],
      [503, "<html>", "retry"],
      [201, "<html>", "unknown"],
      [201, {}, "unknown"],
      [403, secondary, "retry"],
      [429, {}, "retry"],
    ] as const) {
      fake.api.fault("/comments", { kind: "answer", status, body });
      assert.equal((await send()).outcome, outcome, String(status));
    }
    fake.api.fault("/comments", { kind: "answer", status: 429, body: {} });
    assert.deepEqual(await send(), {
      outcome: "retry",
      retryAfterMs: 60_000,
      detail: "rate limit: a pause of 60 s",
    });
    fake.api.fault("/comments", { kind: "closeBefore" });
    assert.equal((await send()).outcome, "unknown");
    assert.equal(fake.comments.length, 1);
  });

  scene("channels (6): a conversation that is none, no text, and too much of it are rejected", async (it) => {
    const { fake, send } = it;
    for (const conversation of [
      { ...issue, id: "house" },
      { ...issue, id: "house/repo/../other" },
      { ...issue, id: "../user" },
      { ...issue, id: "house/.." },
      onThread(""),
      onThread("0"),
      onThread("1/../../x"),
      onThread("discussion-1-review-2"),
      { kind: "group", id: "house/repo" },
    ] as const) {
      assert.equal((await send({ conversation })).outcome, rejected, JSON.stringify(conversation));
    }
    assert.equal((await send({ text: " \n" })).outcome, rejected);
    assert.equal((await send({ text: "x".repeat(40_001) })).outcome, rejected);
    assert.deepEqual(fake.api.calls, []);
    assert.equal((await send({ text: "@a".repeat(20_000) })).outcome, "sent");
    assert.ok(fake.comments[0]!.body.length <= 65_536);
  });

  scene("an answer to lines of code, and to a discussion, goes where the question is", async (it) => {
    const { fake, send } = it;
    const review = await send({ conversation: onThread("12-review-77"), text: "in line" });
    const discussion = await send({ conversation: onThread("discussion-5"), text: "in talk" });
    assert.match(review.outcome === "sent" ? review.platformId : "", /^review_comment\/\d+$/);
    assert.match(discussion.outcome === "sent" ? discussion.platformId : "", /^discussion_comment\/\d+$/);
    assert.deepEqual(
      fake.comments.map(({ on, body }) => [on, seen(body)]),
      [
        ["pulls/12/77", "in line"],
        ["discussions/5", "in talk"],
      ],
    );
  });

  scene("an answer to a comment below a comment of a discussion goes below it too", async (it) => {
    const { fake, send } = it;
    fake.replies.set("DC_9", { repository: "house/repo", number: 5, top: "DC_7" });
    fake.replies.set("DC_else", { repository: "house/other", number: 5, top: "DC_7" });
    const below = (belowMessageId: string, thread = "discussion-5") => ({
      conversation: { ...onThread(thread), belowMessageId },
      text: "in its thread",
    });
    const sent = await send(below("DC_9"));
    assert.match(sent.outcome === "sent" ? sent.platformId : "", /^discussion_comment\/\d+$/);
    const said = [["discussions/5/DC_7", "in its thread"]];
    const heard = () => fake.comments.map(({ on, body }) => [on, seen(body)]);
    assert.deepEqual(heard(), said);
    for (const [id, thread] of [
      ["DC_9", "discussion-6"],
      ["DC_else", "discussion-5"],
      ["DC_gone", "discussion-5"],
      ["DC_9", "5"],
      ['DC_9"', "discussion-5"],
    ])
      assert.equal((await send(below(id as string, thread))).outcome, rejected, `${id} in ${thread}`);
    fake.api.fault("/graphql", { kind: "closeAfter" });
    assert.equal((await send(below("DC_9"))).outcome, "retry", "only the comment itself can be in doubt");
    assert.deepEqual(heard(), said);
  });

  scene("channels (6): in a discussion, only the comment itself can be in doubt", async (it) => {
    const { fake, send } = it;
    const talk = (number: number) => send({ conversation: onThread(`discussion-${number}`) });
    await talk(5);
    fake.api.fault("/graphql", { kind: "closeAfter" });
    assert.equal((await talk(5)).outcome, "retry");
    assert.equal((await talk(404)).outcome, rejected);
    fake.api.fault("/graphql", { kind: "answer", status: 200, body: { errors: [{ type: "RATE_LIMITED" }] } });
    assert.equal((await talk(5)).outcome, "retry");
    fake.blocked.add("house/repo");
    assert.equal((await talk(5)).outcome, rejected);
    assert.equal(fake.comments.length, 1);
  });
});

describe("github: after a crash in mid-send", () => {
  const wanted = async (
    { channel }: Scene,
    conversation: Conversation,
    more: Partial<OutboundMessage> = {},
  ) =>
    channel.wasSent!(
      { id: "out", conversation, text: "hi", afterMessageId: "2023-11-14T22:00:00.000Z", ...more },
      () => false,
    );

  for (const [threadId, below] of [["1"], ["1-review-9"], ["discussion-1"], ["discussion-1", "DC_9"]]) {
    scene(`the mark tells whether a message arrived (${threadId} ${below ?? ""})`, async (it) => {
      it.fake.replies.set("DC_9", { repository: "house/repo", number: 1, top: "DC_7" });
      const conversation = {
        ...onThread(threadId as string),
        ...(below === undefined ? {} : { belowMessageId: below }),
      };
      await it.send({ id: "other", conversation });
      assert.equal(await wanted(it, conversation), "absent");
      await it.send({ conversation });
      assert.equal(await wanted(it, conversation), "sent");
      assert.equal(await wanted(it, conversation, { id: "later" }), "absent");
      assert.equal(it.fake.comments.length, 2);
    });
  }

  scene(
    "where GitHub cannot tell, it is unknown; where it cannot be asked, it is asked again",
    async (it) => {
      const { fake } = it;
      assert.equal(await wanted(it, issue, { afterMessageId: "nothing" }), "unknown");
      assert.equal(await wanted(it, onThread("x")), "unknown");
      fake.api.fault("/comments", { kind: "answer", status: 404, body: {} });
      assert.equal(await wanted(it, issue), "unknown");
      assert.equal(await wanted(it, onThread("discussion-404")), "unknown");
      for (let page = 0; page < 5; page++) {
        const link = `<${fake.apiRoot}/repos/house/repo/issues/1/comments?since=2020-01-01T00:00:00Z&page=${page}>; rel="next"`;
        fake.api.fault("/issues/1/comments", { kind: "answer", status: 200, headers: { link }, body: [] });
      }
      assert.equal(await wanted(it, issue), "unknown");
      fake.api.fault("/comments", { kind: "answer", status: 429, body: {} });
      await assert.rejects(wanted(it, issue));
    },
  );

  scene("a discussion with more comments than are read is unknown", async (it) => {
    const { fake, send } = it;
    const conversation = onThread("discussion-1");
    for (let count = 0; count < 101; count++) await send({ id: `other-${count}`, conversation });
    assert.equal(await wanted(it, conversation), "unknown");
    assert.equal(await wanted(it, conversation, { id: "other-100" }), "sent");
    assert.equal(fake.comments.length, 101);
  });
});
