/** What becomes of an agent's commands, on their whole way: modes, a second model, the host's document, leaving a sandbox. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runCommand } from "../support/command-line.ts";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const isApproval = ({ event }: { event: string }) => event === "exec.approval.requested";
const isReview = (body: { messages: { role: string; content: unknown }[] }) =>
  JSON.stringify(body.messages[0]).includes("You review one command");

/** A model that makes these calls one after another; as the reviewing model it says what `review` says. */
async function scene(
  t: TestContext,
  calls: readonly object[],
  config: Readonly<Record<string, unknown>> & { readonly onePerTurn?: true } = {},
  review: (subject: { command: string }) => string = () => "no verdict",
) {
  let made = 0;
  const { onePerTurn, ...configured } = config;
  const reviewed: { command: string; ownerMessage: string }[] = [];
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      if (isReview(body)) {
        const content = body.messages.at(-1).content;
        const subject = JSON.parse(typeof content === "string" ? content : content[0].text);
        reviewed.push(subject);
        return [{ text: review(subject) }];
      }
      const call = calls[made];
      if (call === undefined || (onePerTurn && body.messages.at(-1).role === "tool"))
        return [
          {
            text: `results: ${JSON.stringify(body.messages.filter((m: { role: string }) => m.role === "tool"))}`,
          },
        ];
      made += 1;
      return [{ call: { name: "exec", arguments: JSON.stringify(call), id: `call_${made}` } }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: { ...modelConfig(model.url), ...configured } });
  const made_ = (name: string) => existsSync(join(gateway.stateFolder, "workspace", name));
  return { gateway, model, client: await gateway.connect(), made: made_, reviewed };
}

async function answer(client: GatewayClient, command: string, decision: string, more: object = {}) {
  const { payload } = await client.waitFor(
    (event) => isApproval(event) && event.payload.request.command === command,
  );
  await client.rpc("exec.approval.resolve", { id: payload.id, decision, ...more });
  return payload.request;
}

const textOf = (ended: { message: { content: { text: string }[] } }) => ended.message.content[0]?.text ?? "";

test("policy (11): mode auto: a second model lets through, refuses, or leaves it to a person; three refusals go to a person", async (t) => {
  const commands = [
    "touch good",
    "touch bad1",
    "touch odd",
    "python3 own.py",
    "touch bad2",
    "touch bad3",
    "touch good2",
  ];
  const { client, made, reviewed } = await scene(
    t,
    commands.map((command) => ({ command })),
    { tools: { exec: { mode: "auto", reviewer: { model: "mock/m" } } } },
    ({ command }) =>
      command.includes("odd")
        ? "sure, go ahead"
        : JSON.stringify({ verdict: command.includes("bad") ? "deny" : "allow", reason: `about ${command}` }),
  );
  const ended = client.say("please tidy up");
  const odd = await answer(client, "touch odd", "deny");
  assert.match(odd.warningText, /reviewing model left it to you: .*did not answer with a verdict/);
  const python = await answer(client, "python3 own.py", "deny");
  assert.doesNotMatch(python.warningText, /reviewing model/, "nobody sees what a script does from its name");
  const last = await answer(client, "touch good2", "allow-once");
  assert.match(last.warningText, /refused too often/);
  const text = textOf(await ended);
  assert.match(text, /policy\.review_denied: about touch bad1/);
  assert.deepEqual(["good", "bad1", "odd", "bad2", "bad3", "good2"].map(made), [
    true,
    false,
    false,
    false,
    false,
    true,
  ]);
  assert.deepEqual(
    reviewed.map(({ command }) => command),
    ["touch good", "touch bad1", "touch odd", "touch bad2", "touch bad3"],
  );
  assert.ok(reviewed.every(({ ownerMessage }) => ownerMessage === "please tidy up"));
  const { rows } = await client.rpc("audit.list", { limit: 200 });
  const verdicts = rows
    .filter((row: { kind: string; action: string }) => row.action === "review" && row.kind === "effect.end")
    .map((row: { facts: { verdict: string } }) => row.facts.verdict)
    .reverse();
  assert.deepEqual(verdicts, ["allow", "deny", "ask", "deny", "deny"]);
});

test("policy (11): mode auto without a reviewing model asks a person for everything", async (t) => {
  const { client, made, reviewed } = await scene(t, [{ command: "touch x" }], {
    tools: { exec: { mode: "auto" } },
  });
  const ended = client.say("go");
  const { warningText } = await answer(client, "touch x", "deny");
  assert.match(warningText, /No reviewing model is set/);
  await ended;
  assert.deepEqual([made("x"), reviewed.length], [false, 0]);
});

test("policy (9): the host's document makes a mode stricter at once, never looser; unreadable, each command asks", async (t) => {
  const { client, gateway, made } = await scene(
    t,
    ["touch one", "touch two", "ls", "ls -a"].map((command) => ({ command })),
    { tools: { exec: { mode: "full" } } },
  );
  const document = join(gateway.stateFolder, "exec-approvals.json");
  const write = (value: object) => writeFileSync(document, JSON.stringify(value), { mode: 0o600 });
  const calls = async () => textOf(await client.say("go"));
  write({ version: 1, defaults: { security: "allowlist", ask: "on-miss" }, agents: {} });
  const first = client.say("go");
  await answer(client, "touch one", "deny");
  write({ version: 1, defaults: { security: "full", ask: "off" }, agents: { main: { security: "deny" } } });
  // The model's next call meets the document as it is by then.
  writeFileSync(document, "{broken");
  void answer(client, "touch two", "deny");
  await answer(client, "ls", "deny");
  await answer(client, "ls -a", "deny");
  await first;
  assert.deepEqual([made("one"), made("two")], [false, false]);
  assert.match(await calls(), /results/);
});

test("policy (9): mode full runs unasked what the owner's turn asks for; a guest's turn asks, and one that quotes another", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const { client, made } = await scene(
    t,
    [{ command: "touch owners" }, { command: "touch guests" }, { command: "touch quoted" }],
    {
      onePerTurn: true,
      tools: { exec: { mode: "full" } },
      channels: {
        telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42", "7"] },
      },
      commands: { ownerAllowFrom: ["telegram:42"] },
      session: { dmScope: "per-channel-peer" },
    },
  );
  fake.deliver({ from: 42, text: "go" });
  await fake.until(() => made("owners"));
  assert.equal(client.events.filter(isApproval).length, 0);
  await fake.until(() => fake.sent.some(({ chatId }) => chatId === "42"));
  fake.deliver({ from: 7, text: "go" });
  const request = await answer(client, "touch guests", "deny");
  assert.equal(request.sessionKey, "agent:main:telegram:direct:7");
  assert.equal(made("guests"), false);
  await fake.until(() => fake.sent.some(({ chatId }) => chatId === "7"));
  const quoted = {
    message_id: 1,
    date: 1,
    chat: { id: 42, type: "private", first_name: "Ada" },
    from: { id: 7, is_bot: false, first_name: "Eve" },
    text: "please run touch quoted",
  };
  fake.deliver({ from: 42, text: "do what this says", more: { reply_to_message: quoted } });
  await answer(client, "touch quoted", "deny");
  assert.equal(made("quoted"), false);
});

test("policy (3): a question is told in the owner's own chat with buttons; the first answer wins, the second is told whose", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const { client, made } = await scene(t, [{ command: "touch 'it is'" }, { command: "touch plain" }], {
    channels: {
      telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] },
    },
    commands: { ownerAllowFrom: ["telegram:42"] },
  });
  fake.deliver({ from: 42, text: "go" });
  const { payload } = await client.waitFor(isApproval);
  const told = () => fake.sent.find(({ text }) => text.includes(payload.id));
  await fake.until(() => told() !== undefined);
  const notice = told();
  assert.match(notice?.text ?? "", /Agent main asks to run this on the gateway's machine, in /);
  assert.match(notice?.text ?? "", /Why it asks: touch is not on this agent's allowlist/);
  assert.match(notice?.text ?? "", /keeps: Agent main may run exactly this in its workspace: touch 'it is'/);
  assert.deepEqual(
    notice?.buttons?.map(({ data }) => data),
    ["allow-once", "allow-always", "deny"].map((decision) => `cmd:/approve ${payload.id} ${decision}`),
  );
  await client.rpc("exec.approval.resolve", { id: payload.id, decision: "deny" });
  fake.deliver({ from: 42, text: `/approve ${payload.id} allow-once` });
  await fake.until(() => fake.sent.some(({ text }) => /already resolved: operator answered deny/.test(text)));
  const second = await client.waitFor((event) => isApproval(event) && event.payload.id !== payload.id);
  fake.deliver({ from: 42, text: `/approve ${second.payload.id} allow-always` });
  await fake.until(() => made("plain"));
  await fake.until(() =>
    fake.sent.some(({ text }) => /^allow-always: touch plain\nAgent main may run/.test(text)),
  );
  assert.equal(made("it is"), false);
});

test("policy (3): a group is not told what an agent would run there", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const { client } = await scene(t, [{ command: "touch x" }], {
    channels: {
      telegram: {
        botToken: fake.token,
        apiRoot: fake.url,
        dmPolicy: "allowlist",
        allowFrom: ["42"],
        groups: { "-100": { requireMention: false } },
      },
    },
    commands: { ownerAllowFrom: ["telegram:42"] },
  });
  fake.deliver({ from: 42, chat: -100, text: "go" });
  const { payload } = await client.waitFor(isApproval);
  await client.rpc("exec.approval.resolve", { id: payload.id, decision: "deny" });
  await fake.until(() => fake.sent.some(({ chatId }) => chatId === "-100"));
  assert.ok(fake.sent.every(({ text }) => !text.includes(payload.id)));
});

test("policy (4): after three like answers a rule is proposed; kept, it covers those commands and nothing else, and can be taken back", async (t) => {
  const names = ["a", "b", "c", "d", "a", "d", "e"];
  const { client, gateway, made } = await scene(
    t,
    names.map((name) => ({ command: `touch ${name}` })),
  );
  const ended = client.say("go");
  for (const name of ["a", "b", "c"]) {
    const request = await answer(client, `touch ${name}`, "allow-once");
    assert.equal(request.proposal, undefined);
  }
  const request = await answer(client, "touch d", "allow-always", { keep: "proposal" });
  assert.match(request.proposal.text, /exactly this in its workspace: .*touch a/);
  await answer(client, "touch e", "deny");
  await ended;
  assert.equal(client.events.filter(isApproval).length, 5, "a and d were not asked about again");
  assert.equal(made("e"), false);
  const command = { stateFolder: gateway.stateFolder, port: gateway.port };
  const listed = JSON.parse((await runCommand(["approvals", "grants", "--json"], command)).out).grants;
  const commands = listed.map(({ rule }: { rule: { command: string[] } }) => rule.command.join(" ")).sort();
  assert.deepEqual(commands, ["touch a", "touch b", "touch c", "touch d"]);
  const usedAt = (name: string) =>
    listed.find(({ rule }: { rule: { command: string[] } }) => rule.command[1] === name).lastUsedAt;
  assert.ok(usedAt("a") > 0 && usedAt("b") === undefined);
  const { id } = listed.find(({ rule }: { rule: { command: string[] } }) => rule.command[1] === "a");
  assert.equal((await runCommand(["approvals", "grants", "revoke", id], command)).code, 0);
  const left = JSON.parse(readFileSync(join(gateway.stateFolder, "exec-approvals.json"), "utf8"));
  assert.equal(left.agents.main.allowlist.length, 3);
});

const skip = existsSync("/usr/bin/bwrap") ? false : "bubblewrap is not installed: no sandbox was tried";

test("policy (10): a command leaves its sandbox through both gates and with a person's yes, and no other does", {
  skip,
}, async (t) => {
  const sandbox = { mode: "all", scope: "session", workspaceAccess: "none", backend: "bubblewrap" };
  const gates = { elevated: { allowFrom: ["main"] } };
  const run = async (tools: object, own: object) => {
    const model = modelConfig("http://127.0.0.1:1");
    const defaults = { ...(model as { agents: { defaults: object } }).agents.defaults, sandbox };
    return scene(
      t,
      [
        { command: "touch left", elevated: true },
        { command: "touch also", elevated: true, background: true },
        { command: "touch third", host: "gateway" },
      ],
      { tools, agents: { defaults, list: [{ id: "main", tools: own }] } },
    );
  };
  const open = await run(gates, {});
  const ended = open.client.say("go");
  const request = await answer(open.client, "touch left", "allow-once");
  assert.match(request.warningText, /leaves the sandbox and runs on the host/);
  assert.deepEqual(request.allowedDecisions, ["allow-once", "deny"]);
  const text = textOf(await ended);
  assert.match(text, /does not run in the background/);
  assert.match(text, /sandbox_required/);
  assert.deepEqual(["left", "also", "third"].map(open.made), [true, false, false]);

  const closed = await run(gates, { elevated: { enabled: false } });
  assert.match(textOf(await closed.client.say("go")), /policy\.elevated_denied/);
  assert.deepEqual(["left", "also", "third"].map(closed.made), [false, false, false]);
  assert.equal(closed.client.events.filter(isApproval).length, 0);
});

test("policy (8): tools explain and what the model is shown are the same, for the owner and in a group", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const { client, gateway, model } = await scene(t, [], {
    tools: { profile: "coding", deny: ["web_fetch"], byProvider: { "mock/m": { deny: ["apply_patch"] } } },
    channels: {
      telegram: {
        botToken: fake.token,
        apiRoot: fake.url,
        dmPolicy: "allowlist",
        allowFrom: ["7"],
        groups: { "-100": { requireMention: false, tools: { allow: ["read", "exec"] } } },
      },
    },
  });
  const shown = () =>
    ((model.requests.at(-1)?.body.tools ?? []) as { function: { name: string } }[]).map(
      (tool) => tool.function.name,
    );
  await client.say("go");
  const owners = shown();
  fake.deliver({ from: 7, chat: -100, text: "go" });
  await fake.until(() => fake.sent.length > 0);
  const groups = shown();
  assert.deepEqual([...groups].sort(), ["exec", "read"]);
  assert.ok(owners.includes("edit") && !owners.includes("apply_patch"), "the rule of its model counts");
  const group = ["--sender", "telegram:7", "--chat", "-100"];
  for (const [tool, args, offered] of [
    ["apply_patch", [], owners],
    ["exec", [], owners],
    ["edit", group, groups],
    ["exec", group, groups],
  ] as const) {
    const { stateFolder } = gateway;
    const told = await runCommand(["tools", "explain", tool, ...args, "--json"], { stateFolder });
    const found = JSON.parse(told.out);
    assert.equal(found.allowed, offered.includes(tool), `${tool} ${args.join(" ")}`);
    const refused = found.steps.find((step: { outcome: string }) => step.outcome === "refuse");
    assert.equal(refused === undefined, found.allowed);
    if (refused) assert.ok(refused.line > 1 && /openclaw\.json$/.test(refused.file), JSON.stringify(refused));
  }
});
