import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer as createLines } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocketServer } from "ws";
import { signalSettings } from "../../src/channels/signal/settings.ts";
import { admit, InputError, refuse } from "../../src/kernel/mod.ts";
import { createHelperPrograms } from "../../src/sandbox/mod.ts";
import { FakeApi } from "../support/fake-api.ts";
import { arrivalsIn, ownNumber, people, type SignalStage, signalStage } from "../support/signal/harness.ts";
import { FakeSignal } from "../support/signal/server.ts";
import { RecordingHost } from "./channel.ts";

async function staged(t: TestContext): Promise<{ stage: SignalStage; host: RecordingHost }> {
  const stage = await signalStage();
  t.after(() => stage.close());
  return { stage, host: new RecordingHost(() => stage.clock.advance(50_000)) };
}

const direct = { kind: "direct", id: people.ada.number } as const;
const group = "Pmpi+EfPWmsxiomLe9Nx2XF9HOE483p6iKiFj65iMwI=";
const isConnected = (host: RecordingHost) => () => host.statuses.at(-1)?.state === "connected";

test("signal (1): a message is on our disk before the gateway hears of it, and no word of it stays behind", async (t) => {
  const { stage, host } = await staged(t);
  const stored = Promise.withResolvers<void>();
  let onDisk = "";
  host.answer = async () => {
    onDisk = arrivalsIn(stage.folder);
    await stored.promise;
    return admit({ messageId: "1" });
  };
  const channel = stage.open(stage.http);
  await channel.start(host);
  stage.fake.write(people.ada, { message: "a planted word" });
  await host.until(() => host.offered.length === 1);
  assert.match(onDisk, /a planted word/);
  assert.equal((await stat(join(stage.folder, "arrivals.jsonl"))).mode & 0o777, 0o600);
  stored.resolve();
  await channel.stop();
  assert.doesNotMatch(arrivalsIn(stage.folder), /planted/);
});

test("signal (1): what was on disk when the process was killed is handed in by the next one", async (t) => {
  const { stage, host } = await staged(t);
  await writeFile(
    join(stage.folder, "arrivals.jsonl"),
    `${["first", "second"]
      .map((message, index) => {
        const { event } = {
          event: {
            envelope: {
              sourceUuid: people.ada.uuid,
              sourceNumber: people.ada.number,
              dataMessage: { timestamp: index + 1, message },
            },
          },
        };
        return JSON.stringify({ id: `${people.ada.uuid}:${index + 1}`, event, mark: String(index + 7) });
      })
      .join("\n")}\n{"id":"cut off in the mid`,
  );
  const channel = stage.open(stage.http);
  await channel.start(host);
  await host.until(() => host.offered.length === 2);
  await channel.stop();
  assert.deepEqual(host.texts, ["first", "second"]);
  assert.deepEqual(stage.fake.lastEventIds, ["8"], "signal-cli is asked for what came after");
});

test("signal (1): what signal-cli wrote while we said goodbye is on our disk, not lost", async (t) => {
  const { stage, host } = await staged(t);
  const channel = stage.open(stage.socket);
  await channel.start(host);
  const stopping = channel.stop();
  stage.fake.write(people.ada, { message: "at the last moment" });
  await stopping;
  assert.deepEqual(host.texts, []);
  const next = new RecordingHost();
  const again = stage.open(stage.socket);
  await again.start(next);
  await next.until(() => next.offered.length === 1);
  await again.stop();
  assert.deepEqual(next.texts, ["at the last moment"]);
});

test("signal: files, replies, reactions, typing and read receipts go to the account, not to the number", async (t) => {
  const { stage, host } = await staged(t);
  const { fake } = stage;
  const channel = stage.open(stage.socket, { sendReadReceipts: true });
  await channel.start(host);
  fake.files.set("f1.png", Buffer.from("a picture"));
  const { at } = fake.write(people.ada, {
    message: "look",
    attachments: [{ id: "f1.png", contentType: "image/png", size: 9 }],
  });
  await host.until(() => host.offered.length === 1);
  const message = host.offered[0]!;
  const { signal } = new AbortController();
  const reference = message.attachments?.[0]?.reference ?? "";
  assert.equal(String(await channel.fetch?.(reference, 9, signal)), "a picture");
  await assert.rejects(channel.fetch!(reference, 8, signal), InputError);
  await assert.rejects(channel.fetch!('{"id":"../x"}', 8, signal), InputError);
  await assert.rejects(channel.fetch!("nonsense", 8, signal), InputError);
  const path = join(stage.folder, "out.txt");
  await writeFile(path, "a file");
  const file = { path, name: 'x";y.txt', type: "text/plain", bytes: 6 };
  const sent = await channel.send({
    id: "o",
    conversation: direct,
    text: "**see**",
    file,
    replyToMessageId: message.messageId,
    choices: [{ label: "Yes", command: "/approve 1" }],
  });
  assert.equal(sent.outcome, "sent");
  channel.react?.(direct, message.messageId, "👍");
  channel.typing(direct);
  channel.typing(direct);
  channel.typing({ kind: "group", id: group });
  await channel.send({ id: "o2", conversation: { kind: "group", id: group }, text: "all" });
  await channel.stop();
  const account = ownNumber;
  assert.deepEqual(
    fake.calls.filter(({ method }) => method !== "version" && method !== "getAttachment"),
    [
      {
        method: "sendReceipt",
        params: { account, recipient: people.ada.uuid, targetTimestamp: at, type: "read" },
      },
      {
        method: "send",
        params: {
          account,
          recipient: [people.ada.uuid],
          message: "see\nYes: /approve 1",
          textStyle: ["0:3:BOLD", "9:10:MONOSPACE"],
          attachments: [
            `data:text/plain;filename=x__y.txt;base64,${Buffer.from("a file").toString("base64")}`,
          ],
          quoteTimestamp: at,
          quoteAuthor: people.ada.uuid,
          quoteMessage: "",
        },
      },
      {
        method: "sendReaction",
        params: {
          account,
          recipient: [people.ada.uuid],
          targetAuthor: people.ada.uuid,
          targetTimestamp: at,
          emoji: "👍",
        },
      },
      { method: "sendTyping", params: { account, recipient: [people.ada.uuid] } },
      { method: "sendTyping", params: { account, groupId: group } },
      { method: "send", params: { account, groupId: group, message: "all" } },
    ],
  );
});

test("signal: who is refused gets no read receipt", async (t) => {
  const { stage, host } = await staged(t);
  host.answer = async () => refuse("access.sender_unpaired");
  const channel = stage.open(stage.http, { sendReadReceipts: true });
  await channel.start(host);
  stage.fake.write(people.ben, { message: "hello" });
  await host.until(() => host.offered.length === 1);
  await channel.send({ id: "o", conversation: direct, text: "behind it" });
  await channel.stop();
  assert.deepEqual(stage.fake.callsOf("sendReceipt"), []);
});

test("signal: each refusal of signal-cli's says whether the message may have been sent", async (t) => {
  const { stage, host } = await staged(t);
  const channel = stage.open(stage.http);
  await channel.start(host);
  const results = (type: string) => ({ response: { results: [{ type }] } });
  for (const [code, data, outcome] of [
    [-3, null, "unknown"],
    [-32603, null, "unknown"],
    [-4, null, "rejected"],
    [-5, null, "retry"],
    [-1, null, "rejected"],
    [-1, results("IDENTITY_FAILURE"), "rejected"],
    [-1, results("NETWORK_FAILURE"), "unknown"],
    [-1, results("UNREGISTERED_FAILURE"), "rejected"],
  ] as const) {
    stage.fake.faults.set("send", { kind: "refuse", code, data });
    const result = await channel.send({ id: "o", conversation: direct, text: "x" });
    assert.equal(result.outcome, outcome, `${code} ${JSON.stringify(data)}`);
  }
  const empty = await channel.send({ id: "o", conversation: direct, text: " " });
  assert.equal(empty.outcome, "rejected");
  await channel.stop();
});

test("signal: a daemon that stays silent is noticed, and one that is not there is told", async (t) => {
  const { stage } = await staged(t);
  const silent = createLines(() => {});
  silent.listen(0, "127.0.0.1");
  t.after(() => silent.close());
  await new Promise((resolve) => silent.once("listening", resolve));
  const { port } = silent.address() as { port: number };
  const host = new RecordingHost(() => stage.clock.advance(50_000));
  const channel = stage.open({ kind: "socket", at: { host: "127.0.0.1", port } });
  const started = channel.start(host);
  while (stage.clock.waiting.length < 2) await new Promise(setImmediate);
  stage.clock.advance(16_000);
  await started;
  assert.match(host.statuses.at(-1)?.detail ?? "", /cannot be reached: .*trying again in \d+ s/);
  await channel.stop();
});

test("signal (4): signal-cli is started with a socket in our folder, and its end is told with what to do", async (t) => {
  const { stage } = await staged(t);
  const fake = new FakeSignal();
  const started: string[][] = [];
  const ended = Promise.withResolvers<{ code: number | null; stderr: string }>();
  const programs = {
    async talk(program: string, args: readonly string[]) {
      started.push([program, ...args]);
      if (started.length === 1) await fake.listen(args.at(-1));
      return { write: () => true, ended: ended.promise, stop: () => ended.resolve({ code: 0, stderr: "" }) };
    },
  };
  t.after(() => fake.close());
  const { accounts } = signalSettings({ account: ownNumber }, { env: {}, readSecretFile: () => "" });
  const host = new RecordingHost();
  await writeFile(join(stage.folder, "signal-cli.sock"), "left by one that was killed");
  const channel = stage.open(accounts[0]!.transport, {}, { programs });
  await channel.start(host);
  await host.until(isConnected(host));
  assert.deepEqual(started, [
    [
      ...["signal-cli", "-a", ownNumber, "daemon", "--receive-mode", "on-connection", "--no-receive-stdout"],
      ...["--ignore-stories", "--socket", join(stage.folder, "signal-cli.sock")],
    ],
  ]);
  assert.equal((await stat(stage.folder)).mode & 0o077, 0);
  ended.resolve({ code: 1, stderr: "User +15550009999 is not registered." });
  await host.until(() => host.statuses.at(-1)?.state === "failed");
  assert.match(
    host.statuses.at(-1)?.detail ?? "",
    /^signal-cli ended \(1\): .*link it again with `signal-cli link`/,
  );
  await channel.stop();
});

test("signal (4): a folder too deep for a socket is told, and nothing is started", async (t) => {
  const { stage } = await staged(t);
  const { accounts } = signalSettings({ account: ownNumber }, { env: {}, readSecretFile: () => "" });
  const host = new RecordingHost();
  const stateFolder = join(stage.folder, "x".repeat(90));
  const channel = stage.open(accounts[0]!.transport, {}, { stateFolder });
  await channel.start(host);
  assert.match(
    host.statuses.at(-1)?.detail ?? "",
    /too long for a unix socket; set channels\.signal\.socketPath/,
  );
  await channel.stop();
});

test("signal (4): a program that is not there, or ends at once, is a failed channel and no loop", async (t) => {
  const { stage } = await staged(t);
  const folder = await mkdtemp(join(tmpdir(), "signal-cli-"));
  t.after(() => rm(folder, { recursive: true }));
  const programs = createHelperPrograms({
    path: `${folder}:/bin:/usr/bin`,
    after: stage.clock.after.bind(stage.clock),
  });
  const account = (cliPath: string) =>
    signalSettings({ account: ownNumber, cliPath }, { env: {}, readSecretFile: () => "" }).accounts[0]!
      .transport;
  const missing = new RecordingHost();
  const first = stage.open(account("no-such-signal-cli"), {}, { programs });
  await first.start(missing);
  assert.match(missing.statuses.at(-1)?.detail ?? "", /there is no program "no-such-signal-cli"/);
  await first.stop();
  await writeFile(
    join(folder, "locked"),
    "#!/bin/sh\necho config file is in use by another instance >&2\nexit 1\n",
    { mode: 0o755 },
  );
  const locked = new RecordingHost();
  const second = stage.open(account("locked"), {}, { programs });
  await second.start(locked);
  assert.equal(locked.statuses.at(-1)?.state, "failed");
  assert.match(locked.statuses.at(-1)?.detail ?? "", /another signal-cli uses this account/);
  assert.deepEqual(
    stage.clock.waiting.filter((delay) => delay < 1_000),
    [],
  );
  await second.stop();
});

test("signal: the container's REST interface carries the same, and its socket is taken up again", async (t) => {
  const { stage, host } = await staged(t);
  const sockets = new WebSocketServer({ noServer: true });
  const api = new FakeApi(
    ({ path }) => {
      if (path.startsWith("/v1/attachments/")) return { status: 200, body: Buffer.from("bytes") };
      return path === "/v2/send" ? { status: 201, body: { timestamp: "77" } } : { status: 200, body: {} };
    },
    (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (peer) => sockets.emit("connection", peer, request)),
  );
  await api.listen();
  t.after(() => api.close());
  const channel = stage.open({ kind: "container", url: `http://${api.host}` });
  await channel.start(host);
  assert.equal(host.statuses.at(-1)?.state, "connected");
  const push = (timestamp: number, message: string) => {
    const envelope = {
      sourceUuid: people.ada.uuid,
      sourceNumber: people.ada.number,
      dataMessage: { timestamp, message },
    };
    for (const peer of sockets.clients) peer.send(JSON.stringify({ envelope, account: ownNumber }));
  };
  push(1, "one");
  await host.until(() => host.offered.length === 1);
  const count = host.statuses.length;
  for (const peer of sockets.clients) peer.terminate();
  await host.until(() => host.statuses.slice(count).some(({ state }) => state === "connected"));
  push(2, "two");
  await host.until(() => host.offered.length === 2);
  assert.deepEqual(host.texts, ["one", "two"]);
  const sent = await channel.send({ id: "o", conversation: { kind: "group", id: group }, text: "hi" });
  assert.deepEqual(sent, { outcome: "sent", platformId: "77" });
  assert.deepEqual(api.callsOf("/v2/send")[0]?.json, {
    number: ownNumber,
    recipients: [`group.${Buffer.from(group).toString("base64")}`],
    message: "hi",
  });
  const { signal } = new AbortController();
  assert.equal(String(await channel.fetch?.('{"id":"a.png","recipient":"x"}', 5, signal)), "bytes");
  for (const [status, body, outcome] of [
    [400, { error: "Rate limit exceeded" }, "retry"],
    [400, { error: "Unregistered user" }, "rejected"],
    [500, {}, "unknown"],
  ] as const) {
    api.fault("/v2/send", { kind: "answer", status, body });
    assert.equal((await channel.send({ id: "o", conversation: direct, text: "x" })).outcome, outcome);
  }
  await channel.stop();
});
