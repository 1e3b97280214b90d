import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type IMessageStage, imessageStage, people } from "../support/imessage/harness.ts";
import { RecordingHost } from "./channel.ts";

async function staged(t: TestContext): Promise<{ stage: IMessageStage; host: RecordingHost }> {
  const stage = await imessageStage();
  t.after(() => stage.close());
  return { stage, host: new RecordingHost(() => stage.clock.advance(9_000)) };
}

const direct = { kind: "direct", id: people.ada } as const;

test("imessage (1): the first start begins with what is newest; each later one with what came meanwhile", async (t) => {
  const { stage, host } = await staged(t);
  const { fake } = stage;
  fake.chats.push({ id: 1, service: "iMessage" });
  fake.write({ sender: people.ada, text: "before our time" });
  const first = stage.open();
  await first.start(host);
  await first.stop();
  fake.write({ sender: people.ada, text: "meanwhile" });
  const second = stage.open();
  await second.start(host);
  await host.until(() => host.offered.length === 1);
  await second.stop();
  assert.deepEqual(host.texts, ["meanwhile"]);
  assert.deepEqual(
    fake.callsOf("watch.subscribe").map((params) => params.since_rowid),
    [101, 101],
  );
});

test("imessage (3): what we wrote comes back as ours, and a reply to it is told as one", async (t) => {
  const { stage, host } = await staged(t);
  const channel = stage.open({ dbPath: "/data/chat.db" });
  await channel.start(host);
  stage.fake.write({ is_from_me: true, sender: people.ada, guid: "OURS", text: "our answer" });
  stage.fake.write({ sender: people.ada, text: "thanks", reply_to_guid: "OURS" });
  await host.until(() => host.offered.length === 1);
  await channel.stop();
  assert.deepEqual([host.offered[0]?.text, host.offered[0]?.repliesToBot], ["thanks", true]);
  assert.equal(host.offered[0]?.quoted?.text, "our answer");
  assert.deepEqual(stage.fake.runs, [["rpc", "--db", "/data/chat.db"]]);
});

test("imessage: a send names a person or a chat, never both, and carries no marks of Markdown", async (t) => {
  const { stage, host } = await staged(t);
  const channel = stage.open({ service: "imessage", region: "US" });
  await channel.start(host);
  const path = join(stage.folder, "a.txt");
  await writeFile(path, "x");
  const file = { path, name: "a.txt", type: "text/plain", bytes: 1 };
  const group = { kind: "group", id: "chat_id:42" } as const;
  const choices = [{ label: "Yes", command: "/approve 1" }];
  assert.deepEqual(await channel.send({ id: "o1", conversation: direct, text: "**hi** `x`", choices }), {
    outcome: "sent",
    platformId: "GUID-101",
  });
  await channel.send({ id: "o2", conversation: group, text: "", file });
  assert.deepEqual(stage.fake.callsOf("send"), [
    { to: people.ada, service: "imessage", region: "US", text: "hi x\nYes: /approve 1" },
    { chat_id: 42, file: path },
  ]);
  const large = { ...file, bytes: 17 * 1024 * 1024 };
  assert.equal(
    (await channel.send({ id: "o3", conversation: group, text: "", file: large })).outcome,
    "rejected",
  );
  assert.equal((await channel.send({ id: "o4", conversation: direct, text: " " })).outcome, "rejected");
  for (const [code, message, outcome] of [
    [-32602, "invalid params", "rejected"],
    [-32603, "Not authorized to send Apple events to Messages. (-1743)", "rejected"],
    [-32603, "Connection is invalid. (-609)", "retry"],
    [-32603, "AppleEvent timed out. (-1712)", "unknown"],
    [-32603, "something else", "unknown"],
  ] as const) {
    stage.fake.faults.set("send", { kind: "refuse", code, message });
    assert.equal(
      (await channel.send({ id: "o", conversation: direct, text: "x" })).outcome,
      outcome,
      message,
    );
  }
  stage.fake.namesSent = false;
  const older = await channel.send({ id: "o9", conversation: direct, text: "hi" });
  assert.deepEqual(older, { outcome: "sent", platformId: "sent:o9" });
  await channel.stop();
  const remote = stage.open({ isLocal: false });
  assert.equal(remote.limits.fileBytes, undefined);
  assert.equal((await remote.send({ id: "o", conversation: direct, text: "", file })).outcome, "rejected");
});

test("imessage (6): a reply in doubt is found in the chat's history, by its text, and never called absent", async (t) => {
  const { stage, host } = await staged(t);
  const { fake } = stage;
  fake.chats.push(
    { id: 1, identifier: people.ada, service: "iMessage" },
    { id: 2, identifier: people.ada, service: "SMS" },
    { id: 42, identifier: "chat42", service: "iMessage" },
  );
  // Answers come over a real pipe while the clock runs ahead.
  const channel = stage.open({ probeTimeoutMs: 1e9 });
  await channel.start(host);
  const group = { kind: "group", id: "chat_id:42" } as const;
  const known: string[] = [];
  const ask = async (more: object) => {
    let answer: unknown;
    const message = { id: "o", conversation: direct, text: "**yes**", afterMessageId: "Q", ...more };
    void channel.wasSent!(message, (id) => known.includes(id)).then((value) => {
      answer = value;
    });
    while (answer === undefined) {
      stage.clock.advance(500);
      await new Promise(setImmediate);
    }
    return answer;
  };
  for (const chat_id of [1, 42]) {
    fake.write({ chat_id, is_from_me: true, guid: `EARLIER-${chat_id}`, text: "yes" });
    fake.write({ chat_id, is_from_me: true, text: "no" });
    fake.write({ chat_id, sender: people.ada, text: "well?", guid: chat_id === 1 ? "Q" : "GQ" });
  }
  fake.faults.set("send", { kind: "exitAfter" });
  const sent = await channel.send({ id: "o", conversation: direct, text: "**yes**" });
  assert.equal(sent.outcome, "unknown");
  await host.until(() => fake.runs.length === 2 && channel.isConnected === true);
  const { guid } = fake.messages.at(-1) ?? {};
  assert.equal(await ask({}), "unknown", "nothing shows that this imsg says what a send made");
  known.push("EARLIER-1", "EARLIER-42");
  assert.deepEqual(await ask({}), { platformId: guid, isExact: true });
  assert.equal(
    await ask({ text: "no" }),
    "unknown",
    "what was written before the question is no answer to it",
  );
  assert.equal(await ask({ afterMessageId: "GONE" }), "unknown");
  assert.equal(await ask({ afterMessageId: undefined }), "unknown");
  assert.equal(await ask({ conversation: group, afterMessageId: "GQ" }), "unknown", "another chat");
  assert.equal(await ask({ file: { path: "/x", name: "x", type: "text/plain", bytes: 1 } }), "unknown");
  fake.write({ chat_id: 1, is_from_me: false, sender: people.ada, text: "yes" });
  assert.deepEqual(await ask({}), { platformId: guid, isExact: true }, "others' words are not ours");
  fake.write({ chat_id: 1, is_from_me: true, text: "yes" });
  assert.equal(await ask({}), "unknown", "two that it could be");
  known.push(String(fake.messages.at(-1)?.guid));
  assert.deepEqual(await ask({}), { platformId: guid, isExact: true }, "the other one is another reply");
  known.push(String(guid));
  assert.equal(await ask({}), "unknown", "each is another reply");
  const asked = channel.wasSent!(
    { id: "o", conversation: direct, text: "no", afterMessageId: "Q" },
    () => false,
  );
  const stopped = assert.rejects(asked, "what a stop cuts short is not settled");
  await channel.stop();
  await stopped;
  fake.away();
  await assert.rejects(
    channel.wasSent!({ id: "o", conversation: direct, text: "x", afterMessageId: "Q" }, () => false),
  );
  await channel.stop();
});

test("imessage: what keeps imsg from working is told with what to do, and tried again with pauses", async (t) => {
  const { stage } = await staged(t);
  const said = async (script: string) => {
    await writeFile(join(stage.fake.folder, "broken"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const host = new RecordingHost();
    const channel = stage.open({ program: "broken" });
    await channel.start(host);
    await channel.stop();
    assert.equal(host.statuses.find(({ state }) => state !== "starting")?.state, "failed");
    return host.statuses.at(-2)?.detail ?? "";
  };
  assert.match(
    await said("echo 'unable to open database file' >&2; exit 1"),
    /ended \(1\): .*Full Disk Access.*again in \d s/,
  );
  assert.match(
    await said("echo 'Host key verification failed.' >&2; exit 255"),
    /host key is not known or changed/,
  );
  assert.match(
    await said("echo 'me@mac: Permission denied (publickey).' >&2; exit 255"),
    /ssh cannot log in/,
  );
  assert.match(await said("exit 9"), /ended \(9\): run it by hand/);
  const host = new RecordingHost();
  const missing = stage.open({ program: "no-such-imsg" });
  await missing.start(host);
  await missing.stop();
  assert.match(host.statuses.at(-2)?.detail ?? "", /there is no program "no-such-imsg"/);
  stage.fake.faults.set("chats.list", { kind: "refuse", code: -32603, message: "authorization denied" });
  const denied = new RecordingHost();
  const channel = stage.open();
  await channel.start(denied);
  await channel.stop();
  assert.match(denied.statuses.find(({ state }) => state === "failed")?.detail ?? "", /Full Disk Access/);
});

test("imessage: an imsg that stays silent is noticed and started again", async (t) => {
  const { stage, host } = await staged(t);
  const channel = stage.open();
  await channel.start(host);
  const count = stage.fake.runs.length;
  stage.fake.faults.set("chats.list", { kind: "hang" });
  const asked = stage.fake.callsOf("chats.list").length;
  stage.clock.advance(61_000);
  while (stage.fake.callsOf("chats.list").length === asked) await new Promise(setImmediate);
  stage.clock.advance(11_000);
  await host.until(() => host.statuses.filter(({ state }) => state === "connected").length >= 2);
  assert.equal(stage.fake.runs.length, count + 1);
  await channel.stop();
});
