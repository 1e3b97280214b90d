/** Sending through a real SMTP server, over TLS. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openEmail } from "../../src/channels/email/mod.ts";
import type { EmailAccount } from "../../src/channels/email/settings.ts";
import { Secret, silentLog, systemClock, systemRandom } from "../../src/kernel/mod.ts";
import { Exim, eximMissing, smtpPassword } from "../support/email/exim.ts";
import { testAccount } from "../support/email/harness.ts";

test("channels (6): a real server takes a letter, refuses another, and is not trusted blindly", {
  skip: eximMissing(),
}, async (t) => {
  const exim = await Exim.start();
  t.after(() => exim.stop());
  const smtp = { host: "localhost", port: exim.port, security: "tls", caFile: exim.certificate } as const;
  const login = { user: "house", with: { kind: "password", password: new Secret(smtpPassword) } } as const;
  const open = (more: Partial<EmailAccount> = {}) =>
    openEmail(testAccount({ imap: 1, smtp: 1 }, "house", { smtp, login, ...more }), {
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      stateFolder: "/nonexistent",
    });
  const send = (channel: ReturnType<typeof open>, id: string, text = "Grüße\n.\n.dot") =>
    channel.send({ id: "out-1", conversation: { kind: "direct", id }, text });
  const channel = open();
  const result = await send(channel, "ada@example.org");
  assert.equal(result.outcome, "sent");
  assert.equal((await send(channel, "nobody@example.org")).outcome, "rejected");
  assert.equal((await send(channel, "ada@example.org", "x".repeat(2_000_000))).outcome, "rejected");
  const wrong = { user: "house", with: { kind: "password", password: new Secret("wrong") } } as const;
  assert.equal((await send(open({ login: wrong }), "ada@example.org")).outcome, "rejected");
  const { caFile: _, ...untrusted } = smtp;
  assert.equal((await send(open({ smtp: untrusted }), "ada@example.org")).outcome, "retry");
  const queue = exim.queue();
  assert.equal(queue.length, 1);
  assert.match(queue[0]!.head, /^ada@example\.org$/m);
  assert.ok(result.outcome === "sent" && queue[0]!.head.includes(`<${result.platformId}>`));
  assert.match(queue[0]!.head, /Auto-Submitted: auto-replied/);
  assert.match(queue[0]!.body, /Gr=C3=BC=C3=9Fe\s+\.\s+\.dot/);
});
