import { type Dovecot, imapPassword } from "../../support/email/dovecot.ts";
import { authservId, letterOf } from "../../support/email/harness.ts";
import { Relay } from "../../support/email/relay.ts";
import { FakeSmtp, plainTextOf } from "../../support/email/smtp.ts";
import { type Carrier, people } from "../carrier.ts";

/** Against a real IMAP server, whose mailbox must be new. */
export async function emailCarrier(dovecot: Dovecot): Promise<Carrier> {
  const smtp = await FakeSmtp.start();
  const relay = new Relay(dovecot.port);
  const imap = await relay.open();
  const user = "storm";
  const letters = new Map<string, string>();
  const address = (person: string) => `${person}@example.org`;
  return {
    channel: "email",
    section: {
      address: "house@house.test",
      authservId,
      user,
      password: imapPassword,
      imap: { host: "127.0.0.1", port: imap, security: "none" },
      smtp: { host: "127.0.0.1", port: smtp.port, security: "none" },
      dmPolicy: "allowlist",
      allowFrom: people.map(address),
    },
    conversations: people,
    write(conversation, text) {
      const more = `References: <root-of-${conversation}@example.org>\n`;
      const letter = letterOf({ id: `${text}@example.org`, from: address(conversation), text, more });
      letters.set(text, letter);
      dovecot.deliver(user, letter);
    },
    repeat: (text) => dovecot.deliver(user, letters.get(text) ?? ""),
    cut: () => relay.cut(),
    breakSend: {
      // A refusal for now would be waited out for a minute.
      lostAfter: () => {
        smtp.faults.push("closeAfter");
      },
    },
    said: () =>
      smtp.taken.map(({ to, raw }) => ({
        conversation: (to[0] ?? "").replace(/@.*/, ""),
        text: plainTextOf(raw),
      })),
    steps: () => relay.passed + smtp.taken.length + smtp.logins.length,
    async close() {
      await relay.close();
      await smtp.close();
    },
  };
}
