/** Sandboxed sessions on their whole way, in containers of a real engine. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { runCommand } from "../support/command-line.ts";
import { missingFor, startEngine, type TestEngine, testImage } from "../support/engines.ts";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

const isApproval = ({ event }: { event: string }) => event === "exec.approval.requested";
const textOf = (ended: { message: { content: { text: string }[] } }) => ended.message.content[0]?.text ?? "";
const free = { tools: { exec: { mode: "full" } } };

describe("sandboxes in containers", { skip: missingFor("docker") ?? false }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine("docker");
  });
  after(() => engine.stop());

  /** A model that runs these commands, one after another, then says what all the results were. */
  async function start(t: TestContext, sandbox: object, commands: readonly object[], more: object = {}) {
    let made = 0;
    const model = await startModelServer({
      wire: "openai-completions",
      script: (body) => {
        const call = commands[made];
        if (call === undefined)
          return [
            {
              text: `results: ${JSON.stringify(body.messages.filter(({ role }: { role: string }) => role === "tool"))}`,
            },
          ];
        made += 1;
        return [{ call: { name: "exec", arguments: JSON.stringify(call), id: `call_${made}` } }];
      },
    });
    t.after(() => model.close());
    const config = modelConfig(model.url) as { agents: { defaults: object } };
    const own = {
      mode: "all",
      scope: "session",
      ...sandbox,
      docker: { image: testImage, pidsLimit: 64, ...("docker" in sandbox ? (sandbox.docker as object) : {}) },
    };
    config.agents.defaults = { ...config.agents.defaults, sandbox: own };
    const env = { DOCKER_HOST: `unix://${engine.socketPath}` };
    const gateway = await GatewayProcess.start(t, { config: { ...config, ...more }, env });
    const cli = (...args: string[]) =>
      runCommand(args, { stateFolder: gateway.stateFolder, port: gateway.port, env });
    return { client: await gateway.connect(), gateway, cli };
  }

  async function gone(): Promise<void> {
    while ((await engine.containers()) > 0) await pause(20);
  }

  test("media: a file that comes with the first message belongs to those who run the container's commands", async (t) => {
    const { client } = await start(
      t,
      {},
      [{ command: "cat media/inbound/*; echo more >> media/inbound/*" }],
      free,
    );
    const attachments = [{ content: Buffer.from("planted words\n").toString("base64") }];
    await client.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "k", attachments });
    const text = textOf(await client.chatEnd("k"));
    assert.match(text, /planted words/);
    assert.doesNotMatch(text, /denied/i);
  });

  test("sandbox (8): where an engine has the image, commands enter its container after one yes, and operators see it", async (t) => {
    const commands = [
      { command: "for x in a b; do echo $x > $x.txt; done; ls; id -u; ls /home /root 2>&1" },
      { command: "cat a.txt; hostname" },
    ];
    const { client, gateway, cli } = await start(t, {}, commands);
    const ended = client.say("go");
    const { payload } = await client.waitFor(isApproval);
    assert.match(
      payload.request.warningText,
      /Docker container without network, for this conversation alone/,
    );
    await client.rpc("exec.approval.resolve", { id: payload.id, decision: "allow-always" });
    const text = textOf(await ended);
    assert.match(text, /a\.txt.*b\.txt.*65532.*sandbox/s);
    assert.equal(client.events.filter(isApproval).length, 1);
    assert.equal(await engine.containers(), 1);
    const [folder = ""] = readdirSync(join(gateway.stateFolder, "sandboxes"));
    assert.ok(existsSync(join(gateway.stateFolder, "sandboxes", folder, "b.txt")));

    assert.match((await cli("sandbox", "list")).out, /docker: \d+ promises held .*openclaw-sbx-/);
    const explained = await cli("sandbox", "explain");
    assert.match(explained.out, /made with +docker\n.*proof +docker: \d+ promises held/s, explained.err);
    assert.match((await cli("status")).out, /sandboxes +1 proved \(docker\)/);
    const wrong = await cli("sandbox", "recreate");
    assert.deepEqual([wrong.code, /--all, or --agent or --session/.test(wrong.err)], [2, true]);
    assert.match((await cli("sandbox", "recreate", "--agent", "other")).out, /^0 containers/);
    assert.match((await cli("sandbox", "recreate", "--all")).out, /^1 containers were ended; 1 sandboxes/);
    assert.equal(await engine.containers(), 0);
    assert.match((await cli("sandbox", "list")).out, /No sandbox was used/);
    assert.match(
      (await cli("doctor")).out,
      /sandboxes +(?:Docker|Podman|bubblewrap)\n.*docker +The engine has no image openclaw-sandbox:minimal\. Make it: openclaw sandbox image minimal/s,
    );
    commands.push({ command: "echo third $(cat a.txt)" });
    assert.match(
      textOf(await client.say("again")),
      /third a\b/,
      "the files stayed, and a new container was made",
    );
    assert.equal(await engine.containers(), 1);
    const { rows } = await client.rpc("audit.list", { limit: 200 });
    assert.ok(
      rows.some(
        ({ action, outcome }: { action: string; outcome: string }) => action === "proof" && outcome === "ok",
      ),
    );
    assert.ok(rows.some(({ action }: { action: string }) => action === "sandbox.recreate"));
  });

  test("sandbox (6): a gateway that is killed, or stopped, leaves no container", async (t) => {
    for (const end of ["kill", "stop"] as const) {
      const { client, gateway } = await start(t, {}, [{ command: "sleep 1000", background: true }], free);
      await client.say("go");
      assert.equal(await engine.containers(), 1);
      await gateway[end]();
      await gone();
    }
  });

  for (const [what, sandbox, why] of [
    [
      "an image that is not there",
      { backend: "docker", docker: { image: "openclaw-sandbox:rust" } },
      /openclaw sandbox image rust/,
    ],
    ["the network of the host", { docker: { network: "host" } }, /sandbox\.docker\.network/],
  ] as const)
    test(`sandbox (8), A-131, A-133: a config that asks for ${what} gives no container, and nothing runs instead`, async (t) => {
      const { client } = await start(t, sandbox, [{ command: "echo r$((1+1))n" }], free);
      const text = textOf(await client.say("go"));
      assert.match(text, /sandbox_unavailable/);
      assert.match(text, why);
      assert.doesNotMatch(text, /r2n/);
      assert.equal(await engine.containers(), 0);
    });

  test("sandbox (8): where the engine has no image, bubblewrap makes the sandbox", {
    skip: existsSync("/usr/bin/bwrap") ? false : "bubblewrap is not installed",
  }, async (t) => {
    const { client, cli } = await start(t, { docker: { image: undefined } }, [{ command: "id -u" }], free);
    assert.match(textOf(await client.say("go")), /1000/);
    assert.match(
      (await cli("sandbox", "explain")).out,
      /made with +bubblewrap\n.*instead of +docker: The engine has no image/s,
    );
    assert.equal(await engine.containers(), 0);
  });
});
