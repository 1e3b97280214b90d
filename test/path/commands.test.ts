/** Commands on their whole way: what runs at once, what asks, and what changed between the answer and the start. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

const isApproval = ({ event }: { event: string }) => event === "exec.approval.requested";

/** A model that makes these calls of exec, one after another, then says what the last result was. */
async function start(t: TestContext, ...calls: readonly object[]) {
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body, n) => {
      const args = calls[n - 1];
      if (args !== undefined)
        return [{ call: { name: "exec", arguments: JSON.stringify(args), id: `call_${n}` } }];
      return [{ text: `result: ${JSON.stringify(body.messages.at(-1).content)}` }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const workspace = join(gateway.stateFolder, "workspace");
  mkdirSync(workspace, { recursive: true });
  return { client: await gateway.connect(), workspace };
}

async function answered(client: GatewayClient, change: () => void) {
  const { payload } = await client.waitFor(isApproval);
  change();
  await client.rpc("exec.approval.resolve", { id: payload.id, decision: "allow-once" });
  return payload;
}

test("policy (6): a line of safe programs runs from its tree and asks nobody; its file carries its label", async (t) => {
  const { client, workspace } = await start(
    t,
    { command: "echo 'b a' > in.txt" },
    { command: "tr ' ' '\\n' < in.txt | head -n 2 > out.txt && wc -l < out.txt" },
  );
  const end = await client.say("go");
  assert.match(end.message.content[0].text, /2/);
  assert.equal(readFileSync(join(workspace, "out.txt"), "utf8"), "b\na\n");
  assert.equal(client.events.filter(isApproval).length, 0);
  const { rows } = await client.rpc("audit.list", { limit: 100 });
  assert.ok(JSON.stringify(rows).includes("out.txt"), "the record names the file that the line writes");
});

test("policy (6): one part that is not allowed makes the whole line ask, and nothing of it ran before", async (t) => {
  const { client, workspace } = await start(t, { command: "echo first > first.txt && touch second.txt" });
  const ended = client.say("go");
  const { payload } = await client.waitFor(isApproval);
  assert.match(payload.request.warningText, /touch is not on this agent's allowlist/);
  assert.equal(existsSync(join(workspace, "first.txt")), false);
  await client.rpc("exec.approval.resolve", { id: payload.id, decision: "deny" });
  await ended;
  assert.equal(existsSync(join(workspace, "first.txt")), false);
});

const changes: readonly (readonly [what: string, args: object, change: (workspace: string) => void])[] = [
  [
    "the script of an interpreter",
    { command: "sh run.sh" },
    (workspace) => writeFileSync(join(workspace, "run.sh"), "touch evil"),
  ],
  [
    "a script, by another file of the same content",
    { command: "./run.sh" },
    (workspace) => {
      writeFileSync(join(workspace, "copy"), readFileSync(join(workspace, "run.sh")), { mode: 0o755 });
      renameSync(join(workspace, "copy"), join(workspace, "run.sh"));
    },
  ],
  [
    "the folder",
    { command: "touch evil", workdir: "sub" },
    (workspace) => {
      renameSync(join(workspace, "sub"), join(workspace, "old"));
      mkdirSync(join(workspace, "sub"));
    },
  ],
  [
    "the folder of what a shell interprets",
    { command: "for x in evil; do touch $x; done", workdir: "sub" },
    (workspace) => {
      renameSync(join(workspace, "sub"), join(workspace, "old"));
      mkdirSync(join(workspace, "sub"));
    },
  ],
];
for (const [what, args, change] of changes)
  test(`policy (7), A-112: an answer does not cover ${what} once it was swapped`, async (t) => {
    const { client, workspace } = await start(t, args);
    mkdirSync(join(workspace, "sub"));
    writeFileSync(join(workspace, "run.sh"), "#!/bin/sh\ntouch evil\n");
    chmodSync(join(workspace, "run.sh"), 0o755);
    const ended = client.say("go");
    await answered(client, () => change(workspace));
    assert.match(
      (await ended).message.content[0].text,
      /is not (?:what it was|the one that this command was judged)/,
    );
    assert.equal(existsSync(join(workspace, "evil")), false);
    assert.equal(existsSync(join(workspace, "sub", "evil")), false);
  });

test("policy (7): without a change the same answers let them run", async (t) => {
  const { client, workspace } = await start(t, { command: "sh run.sh && touch 'x y'", workdir: "sub" });
  mkdirSync(join(workspace, "sub"));
  writeFileSync(join(workspace, "sub", "run.sh"), "touch good\n");
  const ended = client.say("go");
  const { request } = await answered(client, () => {});
  await ended;
  assert.match(request.resolvedPath, /^\/usr\/bin\/\w+sh$/);
  assert.ok(existsSync(join(workspace, "sub", "good")) && existsSync(join(workspace, "sub", "x y")));
});
