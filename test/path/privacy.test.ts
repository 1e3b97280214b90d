/** One person's data: found everywhere, handed out, and gone from every byte of the state folder once it is erased. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { programFile } from "../support/program.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const person = 774411991;
const other = 553322;
const group = -100200300;
/** What belongs to the person, each found in the state folder before an erasure. */
const planted = {
  message: "planted-message-0a0a",
  reply: "planted-reply-1b1b",
  command: "planted-command-2c2c",
  output: "planted-output-3d3d",
  id: String(person),
  name: "Planted Zephyrine",
  grouped: "planted-grouped-4e4e",
  photo: "planted-photo-5f5f",
};
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
type Word = keyof typeof planted;

interface House {
  readonly fake: FakeTelegram;
  readonly gateway: GatewayProcess;
  readonly asked: string[];
  /** Lets the model go on that was asked to hang. */
  readonly release: () => void;
}

async function house(
  t: TestContext,
  session: Record<string, unknown> = {},
  defaults: Record<string, unknown> = {},
): Promise<House> {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const asked: string[] = [];
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const model = await startModelServer({
    wire: "openai-completions",
    async script(body: { messages: { role: string; content: unknown }[] }) {
      asked.push(JSON.stringify(body.messages));
      const last = body.messages.at(-1);
      const text = JSON.stringify(last?.content ?? "");
      if (text.includes("hang")) await released;
      if (last?.role === "user" && text.includes(planted.message)) {
        // The output is not the command's own text.
        const command = `echo ${planted.command} && echo planted-out''put-3d3d`;
        return [{ call: { name: "exec", arguments: JSON.stringify({ command }) } }];
      }
      if (last?.role === "user" && text.includes("write it ")) {
        const path = text.includes("write it below") ? "notes/note.txt" : "note.txt";
        return [{ call: { name: "write", arguments: JSON.stringify({ path, content: "noted" }) } }];
      }
      if (last?.role === "tool") return [{ text: `done: ${planted.reply}` }];
      return [{ text: text.includes(planted.grouped) ? `you said ${planted.grouped}` : "well" }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      agents: { defaults: { model: { primary: "mock/m" }, ...defaults } },
      session: { dmScope: "per-channel-peer", ...session },
      tools: { exec: { security: "full", ask: "off" } },
      channels: {
        telegram: {
          botToken: fake.token,
          apiRoot: fake.url,
          dmPolicy: "pairing",
          groupPolicy: "open",
          groups: { [String(group)]: { requireMention: false } },
        },
      },
    },
  });
  return { fake, gateway, asked, release };
}

const from = (id: number, text: string, more: object = {}) => ({
  from: id,
  firstName: id === person ? planted.name : "Ben",
  text,
  ...more,
});

/** Lets this person in. A request of a later stranger keeps the claimed name in the file. */
async function pair({ fake, gateway }: House, client: GatewayClient, id: number): Promise<void> {
  const before = fake.sent.length;
  fake.deliver(from(id, "hello"));
  await fake.sentCount(before + 1);
  const code = /Pairing code: ([A-Z2-9]{8})/.exec(fake.sent.at(-1)?.text ?? "")?.[1] ?? "";
  assert.ok(code, gateway.stderr);
  await client.rpc("channels.pairing.approve", {
    channel: "telegram",
    accountId: "default",
    requestId: code,
  });
}

async function say({ fake }: House, id: number, text: string, more: object = {}): Promise<number> {
  const before = fake.sent.length;
  const update = fake.deliver(from(id, text, more));
  await fake.sentCount(before + 1);
  return update;
}

/** This person sends a photo with the planted word among its bytes. */
async function sendPhoto({ fake }: House): Promise<void> {
  const before = fake.sent.length;
  const bytes = Buffer.concat([png, Buffer.from(planted.photo)]);
  const id = fake.addFile(bytes, "photos/file_1.jpg");
  const photo = [{ file_id: id, file_unique_id: id, width: 1, height: 1, file_size: bytes.length }];
  fake.deliver(from(person, "", { more: { photo, caption: "look" } }));
  await fake.sentCount(before + 1);
}

function filesOf(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    // What is written and renamed meanwhile may be gone; commands' pipes are no files.
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) return filesOf(path);
    return stat?.isFile() ? [path] : [];
  });
}

/** Empty for what was removed since its folder was listed. */
function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

/** Which of the words stand in which files of the state folder, byte by byte. */
function wordsOnDisk({ gateway }: House): ReadonlyMap<Word, string[]> {
  const found = new Map<Word, string[]>();
  for (const file of filesOf(gateway.stateFolder)) {
    const bytes = bytesOf(file);
    for (const [word, text] of Object.entries(planted) as [Word, string][])
      if (bytes.includes(text)) found.set(word, [...(found.get(word) ?? []), file]);
  }
  return found;
}

/** The files of the other's own conversation, as they are. */
function transcriptsOf({ gateway }: House, word: string): string[] {
  return filesOf(gateway.stateFolder)
    .filter((file) => file.endsWith(".jsonl"))
    .map((file) => readFileSync(file, "utf8"))
    .filter((text) => text.includes(word));
}

async function talked(house_: House, client: GatewayClient): Promise<number> {
  await pair(house_, client, other);
  await say(house_, other, "ben-was-here in private");
  await pair(house_, client, person);
  const update = await say(house_, person, planted.message);
  await sendPhoto(house_);
  await client.say("the operator joins in", `agent:main:telegram:direct:${person}`);
  // The first words there are the conversation's title.
  await say(house_, person, planted.grouped, { chat: group });
  await say(house_, other, "ben-in-the-group before", { chat: group });
  await say(house_, person, "something else", { chat: group });
  await say(house_, other, "ben-in-the-group after", { chat: group });
  // The copies on disk follow within a moment.
  await eventually(() => transcriptsOf(house_, "ben-in-the-group after").length === 1);
  return update;
}

test("privacy: after an erasure no byte of the state folder holds what a person said, was told or had done", async (t) => {
  const at = await house(t);
  const { gateway, fake } = at;
  const client = await gateway.connect();
  const update = await talked(at, client);
  const before = wordsOnDisk(at);
  for (const word of Object.keys(planted) as Word[])
    if (word !== "name") assert.ok(before.get(word), `${word} is on disk: the search works`);
  const bens = transcriptsOf(at, "ben-was-here");
  const { items } = await client.rpc("privacy.export", { peer: `telegram:${person}` });
  const handed = JSON.stringify(items);
  for (const [word, text] of Object.entries(planted))
    if (word !== "name" && word !== "photo") assert.ok(handed.includes(text), `${word} is in the export`);
  assert.equal(items.filter((item: { kind: string }) => item.kind === "attachment").length, 1);
  assert.doesNotMatch(handed, /ben-was-here|ben-in-the-group/, "others' words are not");

  const { removed } = await client.rpc("privacy.erase", { peer: `telegram:${person}`, dryRun: true });
  assert.deepEqual([...wordsOnDisk(at)], [...before], "a look changes nothing");
  const receipt = await client.rpc("privacy.erase", { peer: `telegram:${person}` });
  assert.equal(receipt.found, true);
  assert.deepEqual(
    { ...receipt.removed, recordRows: 0 },
    { ...removed, recordRows: 0 },
    "what was shown is what went",
  );
  assert.deepEqual([...wordsOnDisk(at)], [], "while it runs");

  assert.deepEqual(transcriptsOf(at, "ben-was-here"), bens, "another person's conversation, byte by byte");
  assert.equal(transcriptsOf(at, "ben-in-the-group before").length, 1);
  assert.equal(transcriptsOf(at, "ben-in-the-group after").length, 1);
  const verified = await client.rpc("audit.verify", {});
  assert.equal(verified.intact, true, verified.why);
  assert.ok(verified.erased > 5);
  const [row] = (await client.rpc("audit.list", { afterSeq: receipt.seq - 1, limit: 500 })).rows.slice(-1);
  assert.equal(row.action, "privacy.erase");
  assert.doesNotMatch(JSON.stringify(row), new RegExp(`${person}`));

  const answered = fake.sent.length;
  fake.redeliver(update, 2);
  await fake.polled();
  await say(at, other, "ben again");
  assert.equal(fake.sent.length, answered + 1, "the erased message, delivered again, is still known");
  await gateway.stop();
  assert.deepEqual([...wordsOnDisk(at)], [], "and after it has stopped");
});

test("privacy: somebody who only asked to be let in is forgotten too, with the name that was claimed", async (t) => {
  const at = await house(t);
  const client = await at.gateway.connect();
  at.fake.deliver(from(person, "who am I"));
  await at.fake.sentCount(1);
  assert.deepEqual([...wordsOnDisk(at).keys()].sort(), ["id", "name"]);
  const receipt = await client.rpc("privacy.erase", { peer: `telegram:${person}` });
  assert.equal(receipt.removed.pairings, 1);
  assert.deepEqual([...wordsOnDisk(at)], []);
  await client.rpc("privacy.export", { peer: `telegram:${person}` });
  assert.ok(wordsOnDisk(at).get("id"), "whose data was handed out is on record");
  assert.equal((await client.rpc("privacy.erase", { peer: `telegram:${person}` })).removed.recordRows, 1);
  assert.deepEqual([...wordsOnDisk(at)], [], "until that is erased as well");
});

test("privacy: nothing is known of a stranger, and nothing is changed; what is no account is refused in words", async (t) => {
  const at = await house(t);
  const client = await at.gateway.connect();
  await pair(at, client, other);
  await say(at, other, "ben-was-here");
  const head = (await client.rpc("audit.verify", {})).rows;
  const receipt = await client.rpc("privacy.erase", { peer: "telegram:999888777" });
  assert.equal(receipt.found, false);
  assert.equal(receipt.seq, undefined);
  const { rows, intact, erased } = await client.rpc("audit.verify", {});
  assert.deepEqual(
    { rows, intact, erased },
    { rows: head + 1, intact: true, erased: 0 },
    "but that it was asked",
  );
  const refused = await client.ask("privacy.erase", { peer: "nobody" });
  assert.match(JSON.stringify(refused.error), /is no account; write <channel>:<sender id>/);
});

test("privacy: what agents wrote for a person is listed, or deleted on request; files that name the person are listed by line", async (t) => {
  const at = await house(t);
  const { gateway } = at;
  const client = await gateway.connect();
  await pair(at, client, other);
  await pair(at, client, person);
  const workspace = join(gateway.stateFolder, "workspace");
  const note = join(workspace, "note.txt");
  const memo = join(workspace, "memo.md");
  writeFileSync(memo, `a list\n- call ${person}\n`);
  const erase = async (order: object = {}) => {
    await say(at, person, "write it down");
    assert.equal(readdirSync(join(gateway.stateFolder, "undo")).length, 1);
    const receipt = await client.rpc("privacy.erase", { peer: `telegram:${person}`, ...order });
    assert.deepEqual(readdirSync(join(gateway.stateFolder, "undo")), [], "what the file was before goes too");
    await pair(at, client, person);
    return receipt.left.map((item: { what: string }) => item.what);
  };
  const left = await erase();
  assert.ok(left.includes(note) && left.includes(`${memo}:2`), JSON.stringify(left));
  assert.ok(existsSync(note));
  await say(at, person, "write it down");
  const receipt = await client.rpc("privacy.erase", { peer: `telegram:${person}`, files: true });
  assert.deepEqual([receipt.removed.fileLabels, receipt.files], [1, [note]]);
  assert.equal(existsSync(note), false);
  assert.ok(existsSync(memo), "what nobody wrote for the person alone is never deleted");
});

test("privacy: what a sandboxed agent wrote for a person lies in its sandbox, and is deleted there, through no link", {
  skip: existsSync("/usr/bin/bwrap") ? false : "bubblewrap is not installed",
}, async (t) => {
  const at = await house(t, {}, { sandbox: { mode: "all", scope: "agent", workspaceAccess: "none" } });
  const client = await at.gateway.connect();
  await pair(at, client, person);
  await say(at, person, "write it below");
  const sandboxes = join(at.gateway.stateFolder, "sandboxes");
  const [name = ""] = readdirSync(sandboxes);
  const folder = join(sandboxes, name, "notes");
  const note = join(folder, "note.txt");
  const erase = async () =>
    (await client.rpc("privacy.erase", { peer: `telegram:${person}`, files: true })) as {
      readonly files: readonly string[];
    };
  assert.ok(existsSync(note));
  assert.deepEqual((await erase()).files, [note]);
  assert.equal(existsSync(note), false);

  await pair(at, client, person);
  await say(at, person, "write it below");
  const elsewhere = join(at.gateway.folder, "elsewhere");
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, "note.txt"), "somebody else's");
  rmSync(folder, { recursive: true });
  symlinkSync(elsewhere, folder);
  assert.deepEqual((await erase()).files, []);
  assert.ok(existsSync(join(elsewhere, "note.txt")));
});

test("privacy: a turn that runs is stopped first, and leaves nothing behind", async (t) => {
  const at = await house(t);
  const client = await at.gateway.connect();
  await pair(at, client, other);
  await pair(at, client, person);
  at.fake.deliver(from(person, `hang ${planted.grouped}`));
  await eventually(() => at.asked.some((text) => text.includes("hang")));
  assert.ok(wordsOnDisk(at).get("grouped"));
  const receipt = await client.rpc("privacy.erase", { peer: `telegram:${person}` });
  assert.equal(receipt.found, true);
  at.release();
  await say(at, other, "hello");
  assert.deepEqual([...wordsOnDisk(at)], []);
  assert.equal((await client.rpc("audit.verify", {})).intact, true);
});

test("privacy: the command line hands out a new file for one user, shows, asks, erases, and says what it did", async (t) => {
  const at = await house(t);
  const client = await at.gateway.connect();
  await pair(at, client, other);
  await pair(at, client, person);
  await say(at, person, planted.grouped);
  const peer = ["--peer", `telegram:${person}`];
  const out = join(at.gateway.folder, "person.json");
  assert.match((await command(at, ["export", ...peer, "--out", out])).stdout, /item\(s\) in /);
  assert.equal(statSync(out).mode & 0o777, 0o600);
  assert.ok(readFileSync(out, "utf8").includes(planted.grouped));
  const again = await command(at, ["export", ...peer, "--out", out]);
  assert.deepEqual([again.code, /could not be written: EEXIST/.test(again.stderr)], [1, true]);
  const asked = await command(at, ["erase", ...peer]);
  assert.deepEqual([asked.code, /say --yes if you mean it/.test(asked.stderr)], [2, true]);
  const look = await command(at, ["erase", ...peer, "--dry-run"]);
  assert.match(look.stdout, /^Would be erased of telegram:774411991/);
  assert.ok(wordsOnDisk(at).get("grouped"), "nothing is erased yet");
  const done = await command(at, ["erase", ...peer, "--yes"]);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^Erased of telegram:774411991.*\n {2}2 message\(s\), 1 whole conversation/);
  assert.match(done.stdout, /the model providers: /);
  assert.deepEqual([...wordsOnDisk(at)], []);
  const none = await command(at, ["erase", ...peer, "--yes", "--json"]);
  assert.deepEqual([none.code, JSON.parse(none.stdout).found], [1, false]);
});

async function command({ gateway }: House, args: readonly string[]) {
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      programFile,
      "privacy",
      ...args,
      "--port",
      String(gateway.port),
    ],
    {
      env: {
        PATH: process.env.PATH,
        HOME: join(gateway.folder, "home"),
        OPENCLAW_STATE_DIR: gateway.stateFolder,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

test("retention none: what was kept before it was set stays, and is erased by nobody's accident", async (t) => {
  const at = await house(t);
  const client = await at.gateway.connect();
  await pair(at, client, person);
  await say(at, person, planted.grouped);
  await at.gateway.stop();
  const config = JSON.parse(readFileSync(at.gateway.configFile, "utf8"));
  config.session.retention = "none";
  await at.gateway.writeConfig({}, JSON.stringify(config));
  await at.gateway.start();
  await say(at, person, planted.message);
  await eventually(() => !wordsOnDisk(at).has("message"));
  assert.ok(wordsOnDisk(at).get("grouped"));
});

test("retention none: once delivered nothing is on disk, also after a kill; the conversation goes on in memory", async (t) => {
  const at = await house(t, { retention: "none" });
  const { gateway, fake, asked } = at;
  const client = await gateway.connect();
  await pair(at, client, person);
  // Who may talk, and which conversations there are, is kept: what was said in them is not.
  const said = () => [...wordsOnDisk(at).keys()].filter((word) => word !== "id" && word !== "name");
  fake.deliver(from(person, `hang ${planted.grouped}`));
  await eventually(() => asked.some((text) => text.includes("hang")));
  assert.deepEqual(said(), ["grouped"], "while it is worked on it is on disk, or a crash would lose it");
  at.release();
  await fake.sentCount(2);
  await sendPhoto(at);
  assert.ok(said().includes("photo"), "a file is there for its turn");
  await say(at, person, planted.message);
  await eventually(() => said().length === 0);
  assert.equal(filesOf(gateway.stateFolder).filter((file) => file.endsWith(".jsonl")).length, 0);
  await say(at, person, "and what did I say?");
  assert.match(asked.at(-1) ?? "", new RegExp(planted.message), "the model still sees it");
  assert.equal((await client.rpc("audit.verify", {})).intact, true);

  await say(at, person, planted.message);
  await gateway.kill();
  assert.notDeepEqual(said(), [], "the kill came before it was erased");
  await gateway.start();
  await eventually(() => said().length === 0);
  await say(at, person, "hello again");
  assert.doesNotMatch(asked.at(-1) ?? "", new RegExp(planted.message), "a start forgets");
  const { intact, erased } = await (await gateway.connect()).rpc("audit.verify", {});
  assert.ok(intact && erased > 10);
  await gateway.stop();
  assert.deepEqual(said(), []);
  assert.ok(existsSync(gateway.databaseFile));
});

/** For what no call of the platform tells of: what stands on the disk, and what the model was asked. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("sessions.delete: the conversation's JSONL file goes with it, unless it is asked to stay", async (t) => {
  const at = await house(t);
  const client = await at.gateway.connect();
  const folder = join(at.gateway.stateFolder, "agents", "main", "sessions");
  const files = () =>
    existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".jsonl")) : [];
  const talk = async (name: string) => {
    const sessionKey = `agent:main:${name}`;
    await client.rpc("chat.send", { sessionKey, message: "hello", idempotencyKey: name });
    await client.waitFor(() =>
      client.events.some(
        ({ event, payload }) =>
          event === "chat" && payload.sessionKey === sessionKey && payload.state === "final",
      ),
    );
    await eventually(() => files().length === 1);
    return sessionKey;
  };
  const kept = await client.rpc("sessions.delete", { key: await talk("kept"), deleteTranscript: false });
  assert.equal(kept.archived.length, 1);
  assert.ok(existsSync(kept.archived[0]));
  rmSync(kept.archived[0]);
  const gone = await client.rpc("sessions.delete", { key: await talk("gone") });
  assert.deepEqual([gone.deleted, gone.archived, files()], [true, [], []]);
});
