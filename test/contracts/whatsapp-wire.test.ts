import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Credentials } from "../../src/channels/whatsapp/credentials.ts";
import { loadBaileys } from "../../src/channels/whatsapp/library.ts";
import { openWhatsApp } from "../../src/channels/whatsapp/mod.ts";
import type { Channel } from "../../src/delivery/channel.ts";
import { InputError } from "../../src/kernel/mod.ts";
import { middleRandom } from "../support/telegram/harness.ts";
import { jid, people, type WhatsAppStage, whatsappStage } from "../support/whatsapp/harness.ts";
import { RecordingHost } from "./channel.ts";

function staged(t: TestContext): { stage: WhatsAppStage; host: RecordingHost } {
  const stage = whatsappStage();
  t.after(() => stage.close());
  return { stage, host: new RecordingHost(() => stage.clock.advance(10_000)) };
}

const direct = { kind: "direct", id: people.ada } as const;
const last = (host: RecordingHost) => host.statuses.at(-1);
const turns = async (count = 5) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
};

test("whatsapp (4): the code to link is shown with what to do, and neither logged nor kept", async (t) => {
  const { stage, host } = staged(t);
  const logged: unknown[] = [];
  stage.fake.isLinked = false;
  const channel = stage.open({}, (...line) => logged.push(line));
  await channel.start(host);
  assert.equal(last(host)?.linkCode, "2@the-code-to-scan");
  assert.match(last(host)?.detail ?? "", /Linked devices/);
  assert.equal((await channel.send({ id: "o", conversation: direct, text: "x" })).outcome, "retry");
  stage.fake.isLinked = true;
  stage.fake.emit("creds.update", { me: { id: stage.fake.self.id } });
  stage.fake.close(515);
  await host.until(() => last(host)?.state === "connected");
  assert.equal(last(host)?.linkCode, undefined);
  assert.equal(last(host)?.identity, "+15550009999");
  assert.equal(stage.fake.options.length, 2, "a new connection at once");
  await channel.stop();
  assert.doesNotMatch(JSON.stringify(logged), /the-code/);
  for (const name of await readdir(stage.folder))
    assert.doesNotMatch(await readFile(join(stage.folder, name), "utf8"), /the-code/);
});

test("whatsapp: each end of a connection says what to do, and what does not pass is not tried again", async (t) => {
  for (const [status, state, detail, connections] of [
    [401, "failed", /logged out: .*remove .*link it again/, 1],
    [403, "failed", /banned/, 1],
    [411, "failed", /keys do not fit.*link it again/, 1],
    [440, "failed", /another process uses this linked device/, 1],
    [408, "reconnecting", /no answer in time/, 2],
    [428, "reconnecting", /ended \(428\); trying again in \d+ s/, 2],
    [500, "reconnecting", /ended \(500\)/, 2],
    [503, "reconnecting", /ended \(503\)/, 2],
    [undefined, "reconnecting", /ended; trying again/, 2],
  ] as const) {
    const { stage, host } = staged(t);
    const channel = stage.open();
    await channel.start(host);
    stage.fake.close(status);
    await host.until(() => host.statuses.some((item) => item.state === state));
    assert.match(host.statuses.find((item) => item.state === state)?.detail ?? "", detail);
    if (connections === 2) await host.until(() => last(host)?.state === "connected");
    else stage.clock.advance(60_000);
    await turns();
    assert.equal(stage.fake.options.length, connections, String(status));
    await channel.stop();
  }
});

test("whatsapp (3): keys are 600, kept before they are used again, and outlive a torn file", async (t) => {
  const { stage, host } = staged(t);
  const { library } = stage.fake;
  const channel = stage.open();
  await channel.start(host);
  const { auth, generateHighQualityLinkPreview, shouldSyncHistoryMessage } = stage.fake.options[0]!;
  assert.deepEqual([generateHighQualityLinkPreview, shouldSyncHistoryMessage()], [false, false]);
  stage.fake.emit("creds.update", { me: { id: stage.fake.self.id } });
  await auth.keys.set({ session: { "1.0/../../x:2": "s" }, "app-state-sync-key": { A: { k: 1 }, B: null } });
  assert.deepEqual(await auth.keys.get("session", ["1.0/../../x:2", "none"]), {
    "1.0/../../x:2": "s",
    none: undefined,
  });
  assert.deepEqual(await auth.keys.get("app-state-sync-key", ["A"]), { A: { made: { k: 1 } } });
  const names = await readdir(stage.folder);
  assert.ok(names.includes("session-1.0__..__..__x-2.json"), `as the library names them: ${names.join()}`);
  await auth.keys.set({ session: { "1.0/../../x:2": null } });
  assert.deepEqual(await auth.keys.get("session", ["1.0/../../x:2"]), { "1.0/../../x:2": undefined });
  await channel.stop();
  const again = await Credentials.open(stage.folder, library);
  await again.update({ registrationId: 2 });
  for (const name of await readdir(stage.folder))
    assert.equal((await stat(join(stage.folder, name))).mode & 0o777, 0o600, name);
  await writeFile(join(stage.folder, "creds.json"), '{"me":{"id":"155');
  const torn = await Credentials.open(stage.folder, library);
  assert.equal(torn.self.id, stage.fake.self.id, "the one before");
  await writeFile(join(stage.folder, "creds.json.bak"), "[]");
  await assert.rejects(Credentials.open(stage.folder, library), InputError);
  const failed = new RecordingHost();
  const next = stage.open();
  await next.start(failed);
  assert.match(last(failed)?.detail ?? "", /creds\.json cannot be read; restore them/);
  assert.equal(last(failed)?.state, "failed");
  assert.equal(await readFile(join(stage.folder, "creds.json"), "utf8"), '{"me":{"id":"155');
  await next.stop();
});

test("whatsapp (3): what changed last is on disk when the channel has stopped", async (t) => {
  const { stage, host } = staged(t);
  const channel = stage.open();
  await channel.start(host);
  stage.fake.emit("creds.update", { me: { id: stage.fake.self.id } });
  await channel.stop();
  const kept: unknown = JSON.parse(await readFile(join(stage.folder, "creds.json"), "utf8"));
  assert.equal((kept as { me?: { id?: string } }).me?.id, stage.fake.self.id);
});

test("whatsapp: files, reactions, replies and read receipts name the message; who is refused gets none", async (t) => {
  const { stage, host } = staged(t);
  const { fake } = stage;
  const channel: Channel = stage.open({ sendReadReceipts: true });
  await channel.start(host);
  const key = { id: "3A9", remoteJid: jid("ada"), fromMe: false };
  const media = { directPath: "/v/x.enc", mediaKey: Buffer.from("k"), mimetype: "audio/ogg" };
  fake.deliver({ key, messageTimestamp: 5, message: { audioMessage: media } });
  await host.until(() => host.offered.length === 1);
  await turns();
  const { messageId, attachments } = host.offered[0]!;
  fake.files.set("audio /v/x.enc k", Buffer.from("sound"));
  const { signal } = new AbortController();
  const reference = attachments?.[0]?.reference ?? "";
  assert.equal(String(await channel.fetch?.(reference, 5, signal)), "sound");
  await assert.rejects(channel.fetch!(reference, 4, signal), /larger than 4 bytes/);
  await assert.rejects(channel.fetch!("{}", 4, signal), InputError);
  fake.files.clear();
  await assert.rejects(channel.fetch!(reference, 5, signal), /may be gone/);
  assert.deepEqual(fake.reads, [{ id: "3A9", remoteJid: jid("ada"), fromMe: false }]);
  const path = join(stage.folder, "a.pdf");
  await writeFile(path, "pdf");
  const file = { path, name: "a.pdf", type: "application/pdf", bytes: 3 };
  const choices = [{ label: "Yes", command: "/approve 1" }];
  const message = { id: "o1", conversation: direct, text: "**hi**", replyToMessageId: messageId, choices };
  const first = await channel.send(message);
  assert.deepEqual(await channel.send(message), first, "the same id for each try");
  await channel.send({ id: "o2", conversation: { kind: "group", id: "123456@g.us" }, text: "", file });
  await channel.send({ id: "o3", conversation: { kind: "direct", id: "lid:777000" }, text: "x" });
  channel.react?.(direct, messageId, "👍");
  await turns();
  assert.deepEqual(
    fake.sent.map(({ jid: to, content }) => [to, content]),
    [
      [jid("ada"), { text: "*hi*\nYes: /approve 1", linkPreview: null }],
      [jid("ada"), { text: "*hi*\nYes: /approve 1", linkPreview: null }],
      ["123456@g.us", { document: Buffer.from("pdf"), mimetype: "application/pdf", fileName: "a.pdf" }],
      ["777000@lid", { text: "x", linkPreview: null }],
      [jid("ada"), { react: { text: "👍", key: { id: "3A9", remoteJid: jid("ada"), fromMe: false } } }],
    ],
  );
  const getMessage = fake.options[0]!.getMessage;
  assert.ok(await getMessage({ id: fake.sent[0]!.id }), "for a device that asks again");
  assert.equal(await getMessage({ id: "unknown" }), undefined);
  await channel.stop();
});

test("whatsapp (5): sent means that the server said so; silence is unknown", async (t) => {
  const { stage, host } = staged(t);
  const channel = stage.open();
  await channel.start(host);
  const { fake } = stage;
  const outcome = async (how: typeof fake.nextSend) => {
    fake.nextSend = how;
    return (await channel.send({ id: "o", conversation: direct, text: "x" })).outcome;
  };
  assert.equal(await outcome(403), "rejected");
  assert.equal(await outcome(500), "unknown");
  assert.equal(await outcome("error"), "rejected");
  assert.equal((await channel.send({ id: "o", conversation: direct, text: " " })).outcome, "rejected");
  const before = fake.sent.length;
  fake.nextSend = "lost";
  const waiting = channel.send({ id: "o9", conversation: direct, text: "x" });
  while (fake.sent.length === before) await turns(1);
  assert.equal((await waiting).outcome, "unknown");
  await channel.stop();
});

test("whatsapp: without the library the channel says what to install", async (t) => {
  const { stage } = staged(t);
  const host = new RecordingHost();
  const settings = { accountId: "default", sendReadReceipts: false, textChunkLimit: 4000 };
  const deps = { clock: stage.clock, random: middleRandom, log: () => {}, stateFolder: stage.folder };
  const missing = async () => {
    throw new InputError("WhatsApp needs the library Baileys");
  };
  const channel = openWhatsApp(settings, deps, missing);
  await channel.start(host);
  assert.deepEqual([last(host)?.state, last(host)?.detail], ["failed", "WhatsApp needs the library Baileys"]);
  await channel.stop();
  const found = await loadBaileys("/nowhere").catch((error: unknown) => error);
  assert.ok(
    found instanceof InputError
      ? /not installed|another version/.test(found.message)
      : "makeWASocket" in (found as object),
  );
});
