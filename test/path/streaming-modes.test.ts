/** Replies that grow on Discord and Slack, in steps, or as a line that work goes on: one message in the end, whatever happens. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { FakeDiscord } from "../support/discord/server.ts";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";
import { FakeSlack } from "../support/slack/server.ts";

const first = "The first part of a long answer";
const second = ", and more of it";
const whole = `${first}${second}, up to its end.`;
const call = { call: { name: "read", arguments: JSON.stringify({ path: "none.txt" }), id: "call_1" } };

/** A platform's double, as these tests see it. */
interface Stage {
  readonly section: Readonly<Record<string, unknown>>;
  readonly api: FakeDiscord["api"];
  readonly post: string;
  readonly edit: string;
  readonly isConnected: () => boolean;
  write(text: string): void;
  texts(): string[];
  /** Takes the newest message away. */
  remove(): void;
}

const ada = { discord: "100000000000000041", slack: "UADA00041" };

async function discord(t: TestContext): Promise<Stage> {
  const fake = await FakeDiscord.start();
  t.after(() => fake.api.close());
  return {
    section: {
      token: fake.token,
      apiRoot: fake.apiRoot,
      dmPolicy: "allowlist",
      allowFrom: [ada.discord],
    },
    api: fake.api,
    post: "POST /api/v10/channels/",
    edit: "PATCH /api/v10/channels/",
    isConnected: () => fake.gateway.identifies.length > 0,
    write: (text) => void fake.write({ text, from: ada.discord }),
    texts: () => fake.sent.map(({ content }) => content),
    remove: () => fake.forget(fake.sent.pop()?.id ?? ""),
  };
}

async function slack(t: TestContext): Promise<Stage> {
  const fake = await FakeSlack.start();
  t.after(() => fake.close());
  fake.kinds.set(fake.directOf(ada.slack), { is_im: true });
  return {
    section: {
      botToken: fake.botToken,
      appToken: fake.appToken,
      apiRoot: fake.apiRoot,
      dmPolicy: "allowlist",
      allowFrom: [ada.slack],
    },
    api: fake.api,
    post: "chat.postMessage",
    edit: "chat.update",
    isConnected: () => fake.connected > 0,
    write: (text) => void fake.write({ text, from: ada.slack }),
    texts: () => fake.sent.map(({ text }) => text),
    remove: () => void fake.sent.pop(),
  };
}

const platforms = { discord, slack };
type PlatformId = keyof typeof platforms;

async function house(t: TestContext, platform: PlatformId, streaming: unknown, script: Script) {
  const stage = await platforms[platform](t);
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      // The doubles' clocks are not ours.
      messages: { inbound: { maxAgeMinutes: 0 } },
      channels: { [platform]: { ...stage.section, streaming } },
    },
  });
  await stage.api.until(stage.isConnected);
  return { stage, gateway, model };
}

function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

function rows(gateway: GatewayProcess, sql: string): string[] {
  const database = new DatabaseSync(gateway.databaseFile, { readOnly: true });
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => Object.values(row).join(" "));
  } finally {
    database.close();
  }
}

const outbox = (gateway: GatewayProcess) =>
  rows(gateway, "SELECT replace(id, message_id || ':', ''), state FROM outbox ORDER BY place, id");

/** Every message came to its end, and every row of the outbox. */
async function settled(gateway: GatewayProcess): Promise<void> {
  const open = () =>
    rows(gateway, "SELECT 1 FROM inbox WHERE state IN ('accepted', 'running')").length > 0 ||
    rows(gateway, "SELECT 1 FROM outbox WHERE state IN ('pending', 'sending')").length > 0;
  while (open()) await new Promise((resolve) => setImmediate(resolve));
}

for (const platform of ["discord", "slack"] as const) {
  test(`streaming (1): on ${platform} one message grows, and ends as the whole text`, async (t) => {
    const hold = gate();
    const { stage, gateway } = await house(t, platform, { mode: "partial" }, () => [
      { text: first },
      { wait: hold.opened },
      { text: second },
      { text: ", up to its end." },
    ]);
    stage.write("tell me");
    await stage.api.until(() => stage.texts().length === 1);
    assert.deepEqual(stage.texts(), [first]);
    hold.open();
    await stage.api.until(() => stage.texts()[0] === whole);
    await settled(gateway);
    assert.deepEqual(stage.texts(), [whole]);
    assert.deepEqual(outbox(gateway), ["000 sent", "000e sent"]);
  });

  // Discord takes seconds to take a session up again: one moment of each kind is enough there.
  for (const { name, fault, reached } of [
    { name: "when the first piece is there and its answer is not", fault: "hangAfter", reached: 1 },
    { name: "when the first piece has left and is not there", fault: "hang", reached: 0 },
  ] as const) {
    if (platform === "discord" && reached === 0) continue;
    test(`streaming (2): on ${platform}, killed ${name}, there is one message in the end, with the whole text`, async (t) => {
      const never = new Promise(() => {});
      const { stage, gateway } = await house(t, platform, "partial", (_body, n) =>
        n === 1 ? [{ text: first }, { wait: never }] : [{ text: whole }],
      );
      stage.api.fault(stage.post, { kind: fault });
      stage.write("tell me");
      await stage.api.until(
        () => stage.api.callsOf(stage.post).length > 0 && stage.texts().length === reached,
      );
      await gateway.kill();
      await gateway.start();
      await stage.api.until(() => stage.texts()[0] === whole);
      await settled(gateway);
      assert.deepEqual(stage.texts(), [whole]);
      assert.deepEqual(outbox(gateway), ["000 sent", "000e sent"]);
    });
  }
}

for (const platform of ["discord", "slack"] as const) {
  test(`streaming (2): on ${platform}, killed over the last edit, it is made again, and changes nothing`, async (t) => {
    const { stage, gateway } = await house(t, platform, "partial", () => [{ text: whole }]);
    stage.api.fault(stage.edit, { kind: "hangAfter" });
    stage.write("tell me");
    await stage.api.until(() => stage.api.callsOf(stage.edit).length > 0);
    await gateway.kill();
    await gateway.start();
    await settled(gateway);
    assert.deepEqual(stage.texts(), [whole]);
  });

  test(`streaming (2): on ${platform}, a message that somebody took away is not missed: the whole reply follows`, async (t) => {
    const hold = gate();
    const { stage, gateway } = await house(t, platform, "partial", () => [
      { text: first },
      { wait: hold.opened },
      { text: second },
      { text: ", up to its end." },
    ]);
    stage.write("tell me");
    await stage.api.until(() => stage.texts().length === 1);
    while (!outbox(gateway).includes("000 sent")) await new Promise((resolve) => setImmediate(resolve));
    stage.remove();
    hold.open();
    await stage.api.until(() => stage.texts()[0] === whole);
    await settled(gateway);
    assert.deepEqual(stage.texts(), [whole]);
    assert.deepEqual(outbox(gateway), ["000 sent", "000e dismissed", "000en sent"]);
  });

  test(`streaming (5): on ${platform} a line says that work goes on, and the reply takes its place`, async (t) => {
    const hold = gate();
    const progress = { toolProgress: true };
    const { stage, gateway } = await house(t, platform, { mode: "progress", progress }, (_body, n) =>
      n === 1 ? [call] : [{ wait: hold.opened }, { text: whole }],
    );
    stage.write("read it");
    await stage.api.until(() => stage.texts().length === 1);
    assert.deepEqual(stage.texts(), ["Working\n- read none.txt"]);
    hold.open();
    await stage.api.until(() => stage.texts()[0] === whole);
    await settled(gateway);
    assert.deepEqual(stage.texts(), [whole]);
    assert.deepEqual(outbox(gateway), ["000 sent", "000e sent"]);
  });
}

test("streaming (5): a line that work goes on is not shown for what needs no tool", async (t) => {
  const { stage, gateway } = await house(t, "slack", "progress", () => [{ text: first }, { text: second }]);
  stage.write("tell me");
  await stage.api.until(() => stage.texts().length === 1);
  await settled(gateway);
  assert.deepEqual([stage.texts(), outbox(gateway)], [[first + second], ["000 sent"]]);
});

test("streaming (5): where nobody knows of the line that work goes on, the reply is a message of its own", async (t) => {
  const hold = gate();
  const { stage, gateway } = await house(t, "slack", "progress", (_body, n) =>
    n === 1 ? [call] : [{ wait: hold.opened }, { text: whole }],
  );
  // The one says nothing, and the history cannot be read.
  stage.api.fault(stage.post, { kind: "closeBefore" });
  const body = { ok: false, error: "missing_scope" };
  stage.api.fault("conversations.history", { kind: "answer", status: 200, body });
  stage.write("read it");
  while (!outbox(gateway).includes("000 unknown")) await new Promise((resolve) => setImmediate(resolve));
  hold.open();
  await stage.api.until(() => stage.texts().length === 1);
  await settled(gateway);
  assert.deepEqual([stage.texts(), outbox(gateway)], [[whole], ["000 unknown", "000e sent"]]);
});

test("streaming (5): of a run that is stopped no line stays that says it goes on", async (t) => {
  const { stage, gateway } = await house(t, "discord", "progress", (_body, n) =>
    n === 1 ? [call] : [{ wait: new Promise(() => {}) }],
  );
  stage.write("read it");
  await stage.api.until(() => stage.texts().length === 1);
  stage.write("/stop");
  await stage.api.until(() => stage.texts()[0] === "Stopped.");
  await settled(gateway);
  assert.equal(stage.texts().filter((text) => text === "Working").length, 0);
});

test("streaming (4): in steps, the reply grows by whole sentences", async (t) => {
  const hold = gate();
  const sentence = `${"word ".repeat(50).trim()}. `;
  const { stage, gateway } = await house(t, "discord", { mode: "block" }, () => [
    { text: "short. " },
    { text: sentence },
    { text: "and then" },
    { wait: hold.opened },
    { text: " it ends." },
  ]);
  stage.write("tell me");
  await stage.api.until(() => stage.texts().length === 1);
  assert.deepEqual(stage.texts(), [`short. ${sentence}`.trimEnd()]);
  hold.open();
  await stage.api.until(() => stage.texts()[0]?.endsWith("it ends.") === true);
  await settled(gateway);
  assert.deepEqual(stage.texts(), [`short. ${sentence}and then it ends.`]);
});
