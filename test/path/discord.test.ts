/** Discord, through the whole gateway: people whom the config names by what they can view. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { people } from "../support/discord/harness.ts";
import { FakeDiscord } from "../support/discord/server.ts";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { Payload } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

const { ada, ben } = people;

test("access (3): who can view a channel may write directly where its audience is listed, and nobody else", async (t) => {
  const fake = await FakeDiscord.start();
  t.after(() => fake.api.close());
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "yes?" }] });
  t.after(() => model.close());
  const room = fake.addChannel("200000000000000001");
  const staff = "700000000000000009";
  // Everybody may do nothing; the role may view.
  fake.roles.set(fake.guildId, 0n);
  fake.roles.set(staff, 1n << 10n);
  fake.members.set(ada, [staff]);
  fake.members.set(ben, []);
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      // The fake's clock stands in the past.
      messages: { inbound: { maxAgeMinutes: 0 } },
      accessGroups: {
        staff: { type: "discord.channelAudience", guildId: fake.guildId, channelId: room },
      },
      channels: {
        discord: {
          token: fake.token,
          apiRoot: fake.apiRoot,
          dmPolicy: "allowlist",
          allowFrom: ["accessGroup:staff"],
        },
      },
    },
  });
  const client = await gateway.connect();
  await fake.api.until(() => fake.gateway.identifies.length === 1);
  const refused = fake.write({ text: "may I?", from: ben });
  await fake.told(refused);
  const welcome = fake.write({ text: "may I?", from: ada });
  await fake.told(welcome);
  await fake.api.until(() => fake.sent.length === 1);
  const { rows } = await client.rpc("audit.list", { stage: "access", limit: 10 });
  assert.deepEqual(rows.map((row: Payload) => row.outcome ?? row.action).reverse(), [
    "access.sender_not_listed",
    "admit",
  ]);
  assert.equal(model.requests.length, 1);
  assert.doesNotMatch(await gateway.readLog(), /accessGroups[^\n]*no effect yet/);
});
