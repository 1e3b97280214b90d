import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImapFlow } from "imapflow";
import { eventIdOf, threadIdOf } from "../../../src/channels/email/inbound.ts";
import { openEmail } from "../../../src/channels/email/mod.ts";
import type { EmailAccount } from "../../../src/channels/email/settings.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import { Secret, silentLog } from "../../../src/kernel/mod.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { type Dovecot, imapPassword } from "./dovecot.ts";
import { Relay } from "./relay.ts";
import { FakeSmtp, plainTextOf } from "./smtp.ts";

/** Longer than any pause before a repeat, shorter than the checks that go on for ever. */
const longestPauseMs = 61_000;

export const authservId = "mx.house.test";

export function testAccount(
  ports: { readonly imap: number; readonly smtp: number },
  user: string,
  more: Partial<EmailAccount> = {},
): EmailAccount {
  return {
    accountId: "default",
    address: "house@house.test",
    aliases: ["home@house.test"],
    displayName: "The house",
    authservId,
    mailbox: "INBOX",
    imap: { host: "127.0.0.1", port: ports.imap, security: "none" },
    smtp: { host: "127.0.0.1", port: ports.smtp, security: "none" },
    smtpKeepsSent: false,
    login: { user, with: { kind: "password", password: new Secret(imapPassword) } },
    maxFileBytes: 1024 * 1024,
    textChunkLimit: 100_000,
    ...more,
  };
}

export interface Letter {
  readonly id: string;
  readonly from: string;
  readonly text: string;
  /** Lines above those of the sender: what the receiving server wrote. */
  readonly trace?: string;
  readonly more?: string;
}

export const vouched = (domain: string) =>
  `Authentication-Results: ${authservId}; dmarc=pass (p=reject) header.from=${domain}\n`;

/** A message as it lies in the mailbox. */
export function letterOf({ id, from, text, trace, more = "" }: Letter): string {
  const domain = /@([^>\s]+)>?$/.exec(from)?.[1] ?? "";
  return (
    `Return-Path: <sender@${domain}>\n${trace ?? vouched(domain)}Received: from mail.${domain} by ${authservId}\n` +
    `From: ${from}\nTo: house@house.test\nMessage-ID: <${id}>\nDate: Tue, 14 Nov 2023 22:13:20 +0000\n${more}` +
    `Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n${text}\n`
  );
}

export interface EmailStage {
  readonly smtp: FakeSmtp;
  readonly relay: Relay;
  readonly clock: ManualClock;
  readonly user: string;
  readonly folder: string;
  open(more?: Partial<EmailAccount>): Channel;
  /** Another client of the same mailbox. */
  client(): Promise<ImapFlow>;
  close(): Promise<void>;
}

let users = 0;

export async function emailStage(dovecot: Dovecot): Promise<EmailStage> {
  users += 1;
  const user = `user${users}`;
  const clock = new ManualClock();
  const smtp = await FakeSmtp.start();
  const relay = new Relay(dovecot.port);
  const imap = await relay.open();
  const folder = mkdtempSync(join(tmpdir(), "email-test-"));
  const random = { bytes: (length: number) => Buffer.alloc(length, 0x80) };
  return {
    smtp,
    relay,
    clock,
    user,
    folder,
    open: (more = {}) =>
      openEmail(testAccount({ imap, smtp: smtp.port }, user, more), {
        clock,
        random,
        log: silentLog,
        stateFolder: folder,
      }),
    async client() {
      const auth = { user, pass: imapPassword };
      const client = new ImapFlow({
        host: "127.0.0.1",
        port: dovecot.port,
        secure: false,
        doSTARTTLS: false,
        auth,
        logger: false,
      });
      await client.connect();
      await client.mailboxOpen("INBOX");
      return client;
    },
    async close() {
      await relay.close();
      await smtp.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The bench of the channel contract: a real IMAP server, and an SMTP server that can be made to fail. */
export async function emailBench(dovecot: Dovecot): Promise<ChannelBench> {
  const stage = await emailStage(dovecot);
  const { smtp, relay, clock, user } = stage;
  const address = (person: Person) => `${person}@example.org`;
  const root = (person: Person) => `root-of-${person}@example.org`;
  const uids = new Map<string, number>();
  let sent = 0;
  let watcher: ImapFlow | undefined;
  const handled = new Set<number>();
  const watch = async () => {
    watcher ??= await stage.client();
    await watcher.noop();
    const found = await watcher.search({ keyword: "OpenClawHandled" }, { uid: true });
    handled.clear();
    for (const uid of found || []) handled.add(uid);
  };
  const isAcknowledged = (eventId: string) => handled.has(uids.get(eventId) ?? 0);
  let running = true;
  return {
    channel: stage.open(),
    reopen: async () => stage.open(),
    deliver({ person, text, displayName }) {
      sent += 1;
      const id = `m${sent}@example.org`;
      const name = displayName === undefined ? "" : `"${displayName}" `;
      const more = `References: <${root(person)}>\n`;
      dovecot.deliver(user, letterOf({ id, from: `${name}<${address(person)}>`, text, more }));
      const date = "Tue, 14 Nov 2023 22:13:20 +0000";
      const mail = { place: "", headers: [{ name: "date", value: date }] };
      const eventId = eventIdOf(mail, { id: address(person), messageId: id, subject: "", text });
      uids.set(eventId, sent);
      return eventId;
    },
    redeliver(eventId) {
      void stage.client().then(async (client) => {
        await client.messageFlagsRemove(String(uids.get(eventId)), ["OpenClawHandled"], { uid: true });
        await client.logout();
      });
    },
    isAcknowledged,
    async acknowledged(eventId) {
      while (!isAcknowledged(eventId)) await watch();
    },
    senderIdOf: address,
    direct: (person) => ({ kind: "direct", id: address(person), threadId: threadIdOf(root(person)) }),
    said: () => smtp.taken.map((item) => plainTextOf(item.raw)),
    limitMs: 60_000,
    async breakSend(how) {
      if (how === "limited")
        smtp.faults.push({ at: "mail", answer: "450 4.7.1 Too many messages, slow down" });
      else if (how === "blocked") smtp.faults.push({ at: "rcpt", answer: "550 5.7.1 Not wanted here" });
      else if (how === "lost") smtp.faults.push("closeAfter");
      else await smtp.close();
    },
    cut: () => relay.cut(),
    passWaits: () => clock.advance(longestPauseMs),
    secrets: [imapPassword, Buffer.from(`\0${user}\0${imapPassword}`).toString("base64")],
    async close() {
      if (!running) return;
      running = false;
      await watcher?.logout();
      await stage.close();
    },
  };
}
