import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { personOf } from "./person.ts";
import { channelStates, conversationStores, takeOut } from "./personal-files.ts";

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "channel-state-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  }
  return folder;
}

const number = "+15550001234";
const ada = personOf(`signal:${number}`, new Map());

test("privacy: what a channel keeps of a person goes, line by line and member by member; what it keeps of others stays", async (t) => {
  const uuid = "aaaaaaaa-0000-4000-8000-000000000001";
  const folder = folderWith(t, {
    "signal/default/identities.json": JSON.stringify({ [uuid]: number, other: "+15550009999" }),
    "signal/default/arrivals.jsonl": `{"id":"1","event":{"from":"${number}"}}\n{"id":"2","event":{"from":"x"}}\n`,
    "signal/default/nested.json": JSON.stringify({
      list: [{ who: number, text: "hi" }, { who: "b" }, number, 7],
      deep: { [number]: { a: { b: 1 } }, kept: { a: [1] } },
    }),
    [`signal/default/session-${number}.0.json`]: "{}",
    "signal/default/unknown.bin": `raw ${number}`,
    "signal/other/position.json": "{}",
    "signal-pairing.json": `["${number}"]`,
  });
  const found = await channelStates(folder, ada.isNamedIn);
  assert.deepEqual(
    found.map(({ channel, account, files }) => [channel, account, files.length]),
    [["signal", "default", 5]],
  );
  for (const { channel, files } of found)
    for (const file of files) await takeOut(file, channel, ada.isNamedIn);
  const read = (name: string) => readFileSync(join(folder, "signal/default", name), "utf8");
  assert.deepEqual(JSON.parse(read("identities.json")), { other: "+15550009999" });
  assert.equal(read("arrivals.jsonl"), '{"id":"2","event":{"from":"x"}}\n');
  assert.deepEqual(JSON.parse(read("nested.json")), { list: [{ who: "b" }, 7], deep: { kept: { a: [1] } } });
  assert.throws(() => read(`session-${number}.0.json`), /ENOENT/);
  assert.equal(statSync(join(folder, "signal/default/identities.json")).mode & 0o777, 0o600);
  // What cannot be read is not guessed about: the receipt names it.
  assert.deepEqual(
    (await channelStates(folder, ada.isNamedIn)).flatMap(({ files }) => files),
    [join(folder, "signal/default/unknown.bin")],
  );
});

test("privacy: a short id counts only in the state of its own channel", async (t) => {
  const folder = folderWith(t, {
    "telegram/default/a.json": JSON.stringify({ seen: ["42", "43"] }),
    "irc/default/a.json": JSON.stringify({ seen: ["42"] }),
  });
  const person = personOf("telegram:42", new Map());
  const [only, ...others] = await channelStates(folder, person.isNamedIn);
  assert.deepEqual([only?.channel, others], ["telegram", []]);
  await takeOut(only?.files[0] ?? "", "telegram", person.isNamedIn);
  assert.deepEqual(JSON.parse(readFileSync(join(folder, "telegram/default/a.json"), "utf8")), {
    seen: ["43"],
  });
});

test("privacy: each store beside the database is told of a whole conversation, and of runs in one with others", async () => {
  const said: string[] = [];
  const stores = conversationStores(
    {
      endSession: async (key) => void said.push(`end ${key}`),
      forgetCommands: async (key) => void said.push(`commands ${key}`),
      forgetVersions: async ({ sessionKeys, runIds }) =>
        void said.push(`versions [${[...sessionKeys]}] [${[...runIds]}]`),
    },
    { forgetSession: (key) => void said.push(`overheard ${key}`) },
    {
      forget: async ({ sessionId }) => void said.push(`shown ${sessionId}`),
      forgetRuns: async (_, runIds) => void said.push(`shown [${[...runIds]}]`),
    },
  );
  const row = { agentId: "main", key: "k", sessionId: "s" };
  for (const one of stores) await one.forget(row);
  for (const one of stores) await one.forgetRuns(row, new Set(["r"]));
  assert.deepEqual(said, [
    "shown s",
    "overheard k",
    "end k",
    "versions [k] []",
    "shown [r]",
    "overheard k",
    "commands k",
    "versions [] [r]",
  ]);
});
