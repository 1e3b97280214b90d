import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadConfig } from "../config/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { InputError, type Problem } from "../kernel/mod.ts";
import { createAccess } from "./access.ts";

async function bench(t: TestContext, channels: object, paired: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "access-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "openclaw.json");
  const problems: Problem[] = [];
  const read = async (value: object) => {
    writeFileSync(file, JSON.stringify(value, null, 2));
    const result = await loadConfig({ file, env: {} });
    assert.ok(result.ok);
    return result;
  };
  let current = await read({ channels });
  const access = createAccess({
    loaded: () => current,
    pairings: { allowed: async () => new Set(paired) },
    onProblem: (problem) => problems.push(problem),
  });
  return {
    access,
    problems,
    async change(value: object) {
      current = await read({ channels: value });
    },
  };
}

function row(more: Partial<InboxRow> = {}): InboxRow {
  return {
    messageId: "m",
    channel: "telegram",
    account: "default",
    eventId: "1",
    state: "accepted",
    sessionKey: "agent:main:telegram:group:-1",
    agentId: "main",
    runId: "r",
    receivedAt: 0,
    updatedAt: 0,
    text: "",
    digest: "",
    source: { author: "telegram:42", proof: "platform", trust: "known", sensitivity: "private" },
    reply: { conversation: { kind: "group", id: "-1" } },
    ...more,
  };
}

const groups = { "-1": { tools: { allow: ["read"] }, toolsBySender: { "id:7": {} } }, "-2": {} };

test("access (12): the limit is that of the chat that the message came from, whatever a session is called (attack A-074)", async (t) => {
  const { access } = await bench(t, { telegram: { groups } });
  const allowed = async (more: Partial<InboxRow> = {}) =>
    (await access.toolLimitsOf(row(more))).map((limit) => limit.allow);
  assert.deepEqual(await allowed(), [["read"]]);
  for (const sessionKey of ["agent:main:telegram:group:-2", "agent:main:main"])
    assert.deepEqual(await allowed({ sessionKey }), [["read"]], sessionKey);
  assert.deepEqual(await allowed({ reply: { conversation: { kind: "group", id: "-2" } } }), []);
  const by7 = { author: "telegram:7", proof: "platform", trust: "known", sensitivity: "private" } as const;
  assert.deepEqual(await allowed({ source: by7 }), [undefined]);
  const both = { ...by7, author: "telegram:42,telegram:7" };
  assert.deepEqual(
    await allowed({ source: both }),
    [["read"], undefined],
    "a text of two people has both limits",
  );
  const { reply: _, ...control } = row({ channel: "control" });
  assert.deepEqual(await access.toolLimitsOf(control), []);
});

test("settings are compiled once for each config, and anew for the next one", async (t) => {
  const { access, change, problems } = await bench(t, { telegram: { allowFrom: ["42", "@eve"] } });
  const first = await access.settingsOf("telegram", "default");
  assert.equal(await access.settingsOf("telegram", "default"), first);
  assert.deepEqual(
    problems.map((problem) => problem.path.join(".")),
    ["channels.telegram.allowFrom.1"],
  );
  await change({ telegram: { allowFrom: ["7"] } });
  assert.deepEqual([...(await access.settingsOf("telegram", "default")).allowFrom.ids.keys()], ["7"]);
  assert.equal((await access.settingsOf("discord", "default")).enabled.value, false);
});

test("a question about a group needs the group; one about nobody is answered", async (t) => {
  const { access } = await bench(t, { telegram: { dmPolicy: "open", allowFrom: ["*"] } });
  const ask = (more: object) => access.explain({ channel: "telegram", sender: "42", text: "hi", ...more });
  await assert.rejects(ask({ kind: "group" }), InputError);
  assert.equal((await ask({ sender: "" })).reason, "access.sender_unidentified");
  assert.equal((await ask({})).admitted, true);
  assert.equal((await ask({ chat: "42" })).admitted, true, "a chat that is the sender's own is direct");
});

test("who can reach a tool: one row for anybody, and not one for each person beside it", async (t) => {
  const { access } = await bench(
    t,
    {
      telegram: {
        dmPolicy: "open",
        allowFrom: ["*", "1", "2"],
        groups: { "-1": { allowFrom: ["3"], tools: { deny: ["exec"] } } },
      },
    },
    ["9"],
  );
  const who = async (tool: string) =>
    (await access.whoCan(tool)).map((row_) => `${row_.sender} ${row_.kind ?? "-"} ${row_.chat ?? "-"}`);
  assert.deepEqual(await who("exec"), ["operator - -", "anybody else direct -"]);
  assert.deepEqual(await who("read"), ["operator - -", "anybody else direct -", "telegram:3 group -1"]);
});
