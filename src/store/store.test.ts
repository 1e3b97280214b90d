import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { ledgerChain } from "../audit/mod.ts";
import type { InboxRow, OutboxRow, OutboxState } from "../delivery/mod.ts";
import { systemRandom, unknownSource, type Write } from "../kernel/mod.ts";
import { type EntryBody, newSession } from "../session/mod.ts";
import {
  ensureFolder,
  openStore,
  openTranscriptFiles,
  readJsonFile,
  takeInstanceLock,
  writeJsonFile,
} from "./mod.ts";

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "store-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function opened(t: TestContext, folder = temporary(t)) {
  const store = openStore({
    file: join(folder, "gateway.sqlite"),
    chain: ledgerChain,
    clock: new ManualClock(),
    random: systemRandom,
  });
  return { store, folder };
}

const inboxRow = (id: string, more: Partial<InboxRow> = {}): InboxRow => ({
  messageId: id,
  channel: "chat",
  account: "default",
  eventId: id,
  state: "accepted",
  sessionKey: "agent:main:main",
  agentId: "main",
  runId: `run-${id}`,
  receivedAt: 1000,
  updatedAt: 1000,
  text: `text of ${id}`,
  digest: "d",
  source: unknownSource,
  ...more,
});

const outboxRow = (id: string, more: Partial<OutboxRow> = {}): OutboxRow => ({
  id,
  messageId: "m",
  runId: "r",
  channel: "chat",
  account: "default",
  message: { id, conversation: { kind: "direct", id: "ada" }, text: id },
  state: "pending",
  attempts: 0,
  notBefore: 0,
  createdAt: 1000,
  updatedAt: 1000,
  ...more,
});

test("what is open keeps its order of arrival: within one millisecond, and when the clock jumps back", async (t) => {
  const { store } = opened(t);
  const ids = ["z", "a", "m", "b", "y", "c"];
  for (const [n, id] of ids.entries()) {
    const at = n < 3 ? 1000 : 500;
    await store.commit([
      store.inbox.insert(inboxRow(id, { receivedAt: at })),
      store.outbox.insert(outboxRow(id, { createdAt: at })),
    ]);
  }
  await store.commit([
    store.inbox.move("a", "done", undefined, 1),
    store.inbox.move("z", "running", undefined, 1),
  ]);
  await store.commit([store.inbox.insert(inboxRow("k", { receivedAt: 1 }))]);
  assert.deepEqual(
    store.inbox.open().map((row) => row.messageId),
    ["z", "m", "b", "y", "c", "k"],
  );
  assert.deepEqual(
    store.outbox.open().map((row) => row.id),
    ids,
  );
  store.close();
});

test("delivery (1): the same event is inserted once, and a failed commit leaves nothing of its batch", async (t) => {
  const { store } = opened(t);
  const insert = (id: string, eventId: string) =>
    store.commit([store.outbox.insert(outboxRow(`of-${id}`)), store.inbox.insert(inboxRow(id, { eventId }))]);
  const results = await Promise.allSettled([insert("1", "e"), insert("2", "e"), insert("3", "f")]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(
    store.outbox.open().map((row) => row.id),
    ["of-1", "of-3"],
  );
  assert.equal(store.inbox.find("chat", "default", "e")?.messageId, "1");
  assert.equal(store.inbox.find("chat", "other", "e"), undefined);
  store.close();
});

test("a message's text leaves the inbox when it is final: the transcript holds it", async (t) => {
  const { store } = opened(t);
  await store.commit([store.inbox.insert(inboxRow("1"))]);
  for (const [state, text] of [
    ["running", "text of 1"],
    ["failed", ""],
  ] as const) {
    await store.commit([store.inbox.move("1", state, "why", 2)]);
    assert.equal(store.inbox.byMessageId("1")?.text, text);
  }
  assert.equal(store.inbox.byRunId("run-1")?.detail, "why");
  store.close();
});

test("an alias of the sender is kept while a decision may be taken again, and no longer", async (t) => {
  const { store } = opened(t);
  const aliases = { proved: ["+15550000042"], own: [] };
  for (const id of ["1", "2"]) await store.commit([store.inbox.insert(inboxRow(id, { aliases }))]);
  await store.commit([store.inbox.move("1", "running", undefined, 2)]);
  assert.deepEqual(
    store.inbox.open().map((row) => row.aliases),
    [aliases, aliases],
  );
  await store.commit([store.inbox.move("1", "done", undefined, 3), store.personal.eraseMessages(["2"])]);
  for (const id of ["1", "2"]) assert.equal(store.inbox.byMessageId(id)?.aliases, undefined);
  store.close();
});

test("how far an account's numbers have come is kept, whoever wrote them, and never goes back", async (t) => {
  const { store, folder } = opened(t);
  const came = (id: string, counter: string, number: number) =>
    store.inbox.insert(inboxRow(id, { counted: { counter, number } }));
  const sent = { state: "sent", attempts: 1, notBefore: 0, at: 2, platformId: "12" } as const;
  const counted = { of: { channel: "chat", account: "default" }, counter: "", number: 12 };
  await store.commit([came("1", "", 9), came("2", "-1001", 700)]);
  await store.commit([store.outbox.insert(outboxRow("4")), store.outbox.move("4", { ...sent, counted })]);
  await store.commit([store.outbox.insert(outboxRow("5")), store.outbox.move("5", sent)]);
  await store.commit([came("3", "", 4)]);
  await store.commit([store.personal.eraseMessages(["1", "2", "3"])]);
  store.close();
  const again = opened(t, folder).store;
  assert.deepEqual(
    again.outbox.newest("chat", "default"),
    new Map([
      ["", 12],
      ["-1001", 700],
    ]),
  );
  assert.equal(again.outbox.newest("chat", "other").size, 0);
  assert.equal(again.outbox.newest("other", "default").size, 0);
  again.close();
});

test("what may have been seen under a name that is not known is a doubt beside the others of its conversation", async (t) => {
  const { store } = opened(t);
  const row = outboxRow("2");
  await store.commit([store.outbox.insert(outboxRow("1")), store.outbox.insert(row)]);
  const beside = async (state: OutboxState, platformId?: string) => {
    const change = { state, attempts: 1, notBefore: 0, at: 2, ...(platformId ? { platformId } : {}) };
    await store.commit([store.outbox.move("1", change)]);
    return store.outbox.hasDoubtBeside(row);
  };
  for (const state of ["pending", "sent", "rejected"] as const) assert.equal(await beside(state), false);
  assert.equal(await beside("unknown", "77"), false);
  for (const state of ["sending", "unknown", "dismissed"] as const) assert.equal(await beside(state), true);
  const elsewhere = {
    ...row,
    message: { ...row.message, conversation: { kind: "group", id: "-1" } as const },
  };
  assert.equal(store.outbox.hasDoubtBeside(elsewhere), false);
  assert.equal(store.outbox.hasDoubtBeside({ ...row, account: "other" }), false);
  assert.equal(store.outbox.hasDoubtBeside({ ...row, id: "1" }), false);
  store.close();
});

test("a doubt that was given up before a newer message came is none beside what left behind that one", async (t) => {
  const { store } = opened(t);
  const change = { attempts: 1, notBefore: 0, at: 2 };
  await store.commit([store.outbox.insert(outboxRow("1")), store.outbox.insert(outboxRow("2"))]);
  const messageOf = (id: string) => store.outbox.byId(id)?.message;
  const isDoubt = async (givenUp: string | undefined, sentAfter: string | undefined) => {
    await store.commit([
      store.outbox.move("1", {
        ...change,
        state: "unknown",
        ...(givenUp ? { givenUpAfterMessageId: givenUp } : {}),
      }),
      store.outbox.move("2", {
        ...change,
        state: "sending",
        attempts: 2,
        ...(sentAfter ? { sentAfterMessageId: sentAfter } : {}),
      }),
    ]);
    assert.equal(messageOf("2")?.sentAfterMessageId, sentAfter);
    const row = store.outbox.byId("2");
    assert.ok(row);
    return store.outbox.hasDoubtBeside(row);
  };
  assert.equal(await isDoubt(undefined, "100"), true);
  assert.equal(await isDoubt("99", "100"), false);
  assert.equal(await isDoubt("99", undefined), true);
  assert.equal(await isDoubt("100", "100"), true);
  assert.equal(await isDoubt("101", "100"), true);
  const text = messageOf("1")?.text;
  await store.commit([store.outbox.move("1", { ...change, state: "sending", attempts: 2 })]);
  assert.deepEqual([messageOf("1")?.givenUpAfterMessageId, messageOf("1")?.text], [undefined, text]);
  assert.equal(await isDoubt(undefined, "200"), true, "sent again, it is in doubt anew");
  store.close();
});

test("a platform's id is known within its own conversation only", async (t) => {
  const { store } = opened(t);
  const row = outboxRow("1");
  await store.commit([store.outbox.insert(row)]);
  await store.commit([
    store.outbox.move("1", { state: "sent", attempts: 1, notBefore: 0, at: 2, platformId: "77" }),
  ]);
  const elsewhere = {
    ...row,
    message: { ...row.message, conversation: { kind: "group", id: "-1" } as const },
  };
  assert.equal(store.outbox.hasPlatformId(row, "77"), true);
  assert.equal(store.outbox.hasPlatformId(row, "78"), false);
  assert.equal(store.outbox.hasPlatformId(elsewhere, "77"), false);
  assert.equal(store.outbox.hasPlatformId({ ...row, account: "other" }, "77"), false);
  store.close();
});

test("what was committed is there after the store is opened again", async (t) => {
  const { store, folder } = opened(t);
  await store.commit([store.inbox.insert(inboxRow("1", { text: "Größe 😀" })), store.meta.put("k", "v")]);
  store.checkpoint();
  store.close();
  const again = opened(t, folder).store;
  assert.equal(again.inbox.open()[0]?.text, "Größe 😀");
  assert.equal(again.meta.get("k"), "v");
  assert.equal(again.meta.get("none"), undefined);
  assert.equal(statSync(join(folder, "gateway.sqlite")).mode & 0o777, 0o600);
  again.close();
});

test("one gateway per folder: the lock names its holder, and is free once released", (t) => {
  const folder = temporary(t);
  const me = { pid: 1, port: 2, startedAt: "now" };
  const lock = takeInstanceLock(folder, me);
  assert.ok("release" in lock);
  assert.deepEqual(takeInstanceLock(folder, { ...me, pid: 9 }), { heldBy: me });
  lock.release();
  const next = takeInstanceLock(folder, me);
  assert.ok("release" in next);
  next.release();
});

test("JSON files: none is undefined; whatever else is no whole file is an error, never an empty one", async (t) => {
  const folder = temporary(t);
  const path = join(folder, "x.json");
  assert.equal(await readJsonFile(path), undefined);
  await writeJsonFile(path, { a: 1 });
  assert.deepEqual(await readJsonFile(path), { a: 1 });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  writeFileSync(path, '{"a": 1');
  await assert.rejects(readJsonFile(path), /not valid JSON/);
  symlinkSync(path, join(folder, "link.json"));
  await assert.rejects(readJsonFile(join(folder, "link.json")), /cannot be opened/);
  mkdirSync(join(folder, "folder.json"));
  await assert.rejects(readJsonFile(join(folder, "folder.json")), /not a regular file/);
  await assert.rejects(writeJsonFile(join(folder, "none", "x.json"), 1));
  assert.equal(readFileSync(path, "utf8"), '{"a": 1');
});

test("folders are made for their user only, tightened, and never taken from a link", async (t) => {
  const folder = join(temporary(t), "made");
  await ensureFolder(folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  chmodSync(folder, 0o755);
  await ensureFolder(folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  symlinkSync(folder, `${folder}-link`);
  await assert.rejects(ensureFolder(`${folder}-link`), /not a folder/);
});

test("store (5): an erased message is found by its event, and holds nothing else; others and runs' entries stay apart", async (t) => {
  const { store } = opened(t);
  const { personal } = store;
  const by = (author: string) => ({ ...unknownSource, author });
  for (const [id, author] of [
    ["1", "telegram:42"],
    ["2", "telegram:7"],
  ] as const)
    await store.commit([
      store.inbox.insert(inboxRow(id, { source: by(author), eventId: `event-${id}` })),
      store.inbox.move(id, "done", "detail", 2),
    ]);
  assert.deepEqual(
    personal.messagesOf(["telegram:42"], []).map((row) => row.messageId),
    ["1"],
  );
  assert.equal(personal.messagesOf([], ["agent:main:main"]).length, 2);
  assert.deepEqual([...personal.sharedWithOthers(["agent:main:main"], ["telegram:42"])], ["agent:main:main"]);
  const other = store.inbox.byMessageId("2");
  await store.commit([personal.eraseMessages(["1", "none"])]);
  await store.commit([personal.eraseMessages(["1"])]);
  const to = (id: string) => ({
    channel: "telegram",
    account: "default",
    conversation: { kind: "direct", id } as const,
  });
  for (const id of ["42", "7"])
    await store.commit([store.inbox.insert(inboxRow(`to-${id}`, { deliverTo: to(id) }))]);
  await store.commit([personal.eraseTargets(["telegram:42", "chat:7"])]);
  assert.equal(store.inbox.byMessageId("to-42")?.deliverTo, undefined);
  assert.deepEqual(store.inbox.byMessageId("to-7")?.deliverTo, to("7"));
  const row = store.inbox.find("chat", "default", "event-1");
  assert.equal(row?.messageId, "1", "erased twice, it is still known");
  assert.doesNotMatch(JSON.stringify(row), /42|text of|event-1|agent:main/);
  assert.deepEqual(store.inbox.byMessageId("2"), other);
  assert.deepEqual(personal.endedSince(0), ["2"]);
  store.close();
});

test("store (5): a run's entries go with every summary that was made from them, and the file follows over the gap", async (t) => {
  const { store, folder } = opened(t);
  const entry = (seq: number, runId: string, body: EntryBody) => ({
    seq,
    id: `e${seq}`,
    parentId: null,
    timestamp: "2026-01-01T00:00:00Z",
    runId,
    body,
  });
  const said = (seq: number, runId: string) =>
    entry(seq, runId, {
      type: "message",
      message: { role: "user", content: `words-${runId}-${seq}`, timestamp: 1, source: unknownSource },
    });
  const summary = (seq: number, firstKeptSeq: number) =>
    entry(seq, "b", {
      type: "compaction",
      summary: `summary-${seq}`,
      firstKeptSeq,
      tokensBefore: 1,
      source: unknownSource,
    });
  const session = newSession({ key: "agent:main:g", agentId: "main", sessionId: "s1", now: 1 });
  const row = { ...session, title: "words", lastMessage: "words", lastSeq: 1303, lastEntryId: "e1303" };
  const entries = [
    said(1, "b"),
    summary(2, 2),
    ...Array.from({ length: 1200 }, (_, n) => said(n + 3, "a")),
    summary(1203, 1100),
    ...Array.from({ length: 100 }, (_, n) => said(n + 1204, "b")),
  ];
  await store.commit([store.sessions.put(row), ...entries.map((item) => store.sessions.append("s1", item))]);
  const files = openTranscriptFiles({
    stateFolder: folder,
    sessions: store.sessions,
    workspaceOf: () => "/",
    keeps: () => true,
    shown: (entry) => entry,
    clock: new ManualClock(),
    log: () => {},
  });
  files.touch(row);
  await files.flush();
  assert.match(readFileSync(files.path(row), "utf8"), /words-a-3"/);
  await store.commit([store.personal.eraseRuns(row, ["a"])]);
  await files.erase(row);
  const text = readFileSync(files.path(row), "utf8");
  assert.doesNotMatch(text, /words-a|summary-1203/);
  assert.match(text, /words-b-1"[\s\S]*summary-2"[\s\S]*words-b-1204"[\s\S]*words-b-1303"/);
  const left = store.sessions.get("agent:main:g");
  assert.deepEqual([left?.title, left?.lastMessage, left?.lastSeq], [undefined, undefined, 1303]);
  store.close();
});

test("small facts that are over are forgotten by their prefix, and no others", async (t) => {
  const { store } = opened(t);
  const { meta } = store;
  const facts = { "budget:a": "10", "budget:b": "11", budget: "1", "budgets:c": "1", "budget:d": "never" };
  await store.commit(Object.entries(facts).map(([key, value]) => meta.put(key, value)));
  await store.commit([meta.expire("budget:", 10)]);
  // What is no time is over too: it was never written so.
  assert.deepEqual(
    Object.keys(facts).filter((key) => meta.get(key) !== undefined),
    ["budget:b", "budget", "budgets:c"],
  );
  store.close();
});

test("store (5): while the file is written anew, reads are answered, the loop turns, and what is committed meanwhile comes after", async (t) => {
  const { store } = opened(t);
  const secret = "a-word-that-must-go";
  const rows = Array.from({ length: 300 }, (_, n) => outboxRow(String(n)));
  await store.commit(
    rows.map((row) => store.outbox.insert({ ...row, detail: `${secret} ${"x".repeat(5000)}` })),
  );
  await store.commit([store.personal.eraseDeliveries(rows.slice(1).map((row) => row.id))]);
  let isDone = false;
  const work = store.rewrite().then(() => {
    isDone = true;
  });
  const order: string[] = [];
  let isApplied = false;
  const noted = (() => {
    isApplied = true;
  }) as unknown as Write;
  const committed = store
    .commit([store.meta.put("meanwhile", "yes"), noted])
    .then(() => order.push("commit"));
  const again = store.rewrite().then(() => order.push("rewrite"));
  let turns = 0;
  while (!isDone) {
    assert.equal(store.outbox.byId("0")?.id, "0");
    assert.equal(isApplied, false, "a write beside the other thread's would hold the loop");
    turns += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(turns > 1, "the loop stood still");
  await Promise.all([work, committed, again]);
  assert.deepEqual([store.meta.get("meanwhile"), order.length], ["yes", 2]);
  store.close();
});

test("a copy that is erased before it was written leaves nobody waiting for ever", async (t) => {
  const { store, folder } = opened(t);
  const clock = new ManualClock();
  const files = openTranscriptFiles({
    stateFolder: folder,
    sessions: store.sessions,
    workspaceOf: () => "/",
    keeps: () => true,
    shown: (entry) => entry,
    clock,
    log: () => {},
  });
  const row = newSession({ key: "agent:main:x", agentId: "main", sessionId: "s9", now: 0 });
  files.touch(row);
  await files.erase(row);
  // The writing that was put off comes with nothing left to write.
  clock.advance(1000);
  let turns = 0;
  const flushed = files.flush();
  const raced = await Promise.race([flushed.then(() => "flushed"), everyTurn(() => ++turns > 50)]);
  assert.equal(raced, "flushed");
  store.close();
});

/** By microtasks: what spins in them never lets the loop turn. */
async function everyTurn(isEnough: () => boolean): Promise<string> {
  while (!isEnough()) await null;
  return "still waiting";
}
