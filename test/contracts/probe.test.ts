/** What each platform says of credentials before anything is written: known, refused with what to do, or not reached. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { probeDiscord } from "../../src/channels/discord/probe.ts";
import { probeEmail } from "../../src/channels/email/probe.ts";
import { probeGithub } from "../../src/channels/github/probe.ts";
import type { Probe } from "../../src/channels/platform.ts";
import { probeSlack } from "../../src/channels/slack/probe.ts";
import { Secret } from "../../src/kernel/mod.ts";
import * as discord from "../support/discord/harness.ts";
import { FakeDiscord } from "../support/discord/server.ts";
import * as email from "../support/email/harness.ts";
import * as github from "../support/github/harness.ts";
import { FakeGithub } from "../support/github/server.ts";
import * as slack from "../support/slack/harness.ts";
import { FakeSlack } from "../support/slack/server.ts";
import { ManualClock } from "../support/telegram/manual-clock.ts";

const clock = new ManualClock();

function assertRefused(probe: Probe, detail: RegExp, secret: string) {
  assert.equal(probe.outcome, "refused");
  const said = probe.outcome === "refused" ? probe.detail : "";
  assert.match(said, detail);
  assert.doesNotMatch(said, /trying again/);
  assert.ok(!said.includes(secret));
}

test("channels (9): Discord is asked who the bot is", async (t) => {
  const fake = await FakeDiscord.start();
  t.after(() => fake.api.close());
  const account = discord.testAccount(fake);
  assert.deepEqual(await probeDiscord(account, clock), { outcome: "known", identity: "@house" });
  const wrong = "wrong-token-of-nobody-0123456789";
  const refused = await probeDiscord({ ...account, token: new Secret(wrong) }, clock);
  assertRefused(refused, /^token revoked: Discord does not know/, wrong);
  fake.api.fault("/users/@me", { kind: "closeBefore" });
  assert.equal((await probeDiscord(account, clock)).outcome, "unreachable");
});

test("channels (9): Slack is asked about both tokens, and no socket is opened", async (t) => {
  const fake = await FakeSlack.start();
  t.after(() => fake.close());
  const account = slack.testAccount(fake);
  assert.deepEqual(await probeSlack(account, clock), { outcome: "known", identity: "@house in House" });
  assert.equal(fake.connected, 0);
  const wrong = "xapp-1-A0TEST-9999999999-wrong";
  const mode = { kind: "socket", appToken: new Secret(wrong) } as const;
  assertRefused(await probeSlack({ ...account, mode }, clock), /token is of another kind/, wrong);
  fake.tokenIsValid = false;
  assertRefused(await probeSlack(account, clock), /does not take the botToken/, fake.botToken);
});

test("channels (9): GitHub is asked who the App is", async (t) => {
  const fake = await FakeGithub.start();
  t.after(() => fake.close());
  const account = github.testAccount(fake);
  const known = await probeGithub(account, clock);
  assert.match(JSON.stringify(known), /"known","identity":"@/);
  const auth = { ...github.tokenAuth(fake, []), token: new Secret("github_pat_of_nobody_0123456789") };
  assertRefused(await probeGithub({ ...account, auth }, clock), /token revoked or ended/, "of_nobody");
});

test("channels (9): a mail server that is not there, and a refresh token that is not used up", async () => {
  const account = email.testAccount({ imap: 9, smtp: 9 }, "house");
  assert.equal((await probeEmail(account, clock)).outcome, "unreachable");
  const oauth2 = {
    kind: "oauth2",
    tokenUrl: "http://127.0.0.1:9/",
    clientId: "x",
    refreshToken: new Secret("r"),
  } as const;
  const probe = await probeEmail({ ...account, login: { user: "house", with: oauth2 } }, clock);
  assert.match(JSON.stringify(probe), /first tried when the channel starts/);
});
