import { RemoteWhatsApp } from "../../support/whatsapp/remote.ts";
import type { Carrier } from "../carrier.ts";

const persons = ["41", "42", "43", "44", "45"].map((end) => `155500000${end}`);
const group = "120363000000000001@g.us";

/** With a stand-in of the library. Only receipts tell later what WhatsApp has got, and not everybody's phone is on. */
export async function whatsappCarrier(): Promise<Carrier> {
  const fake = await RemoteWhatsApp.start();
  const written = new Map<string, ReturnType<typeof messageOf>>();
  let count = 0;
  const messageOf = (conversation: string, text: string) => {
    count += 1;
    const person = `${conversation === group ? persons[0] : conversation}@s.whatsapp.net`;
    const place = conversation === group ? { remoteJid: group, participant: person } : { remoteJid: person };
    return {
      key: { id: `3A${count}`, ...place, fromMe: false },
      pushName: "somebody",
      messageTimestamp: Math.floor(Date.now() / 1000),
      message: { conversation: text },
    };
  };
  const write = (conversation: string, text: string) => {
    const message = messageOf(conversation, text);
    written.set(text, message);
    return message;
  };
  const numbers = persons.map((person) => `+${person}`);
  return {
    channel: "whatsapp",
    env: fake.env,
    section: {
      dmPolicy: "allowlist",
      allowFrom: numbers,
      groupPolicy: "allowlist",
      groups: { [group]: { requireMention: false, allowFrom: numbers } },
    },
    conversations: [...persons, group],
    write: (conversation, text) => fake.deliver(write(conversation, text)),
    writeSwapped(conversation, earlier, later) {
      const first = write(conversation, earlier);
      fake.deliver(write(conversation, later));
      fake.deliver(first);
    },
    repeat(text) {
      const message = written.get(text);
      if (message) fake.deliver(message);
    },
    cut: () => fake.cut(),
    breakSend: {
      lostBefore: () => {
        fake.nextSend = "lostBefore";
      },
      lostAfter: () => {
        fake.nextSend = "lostAfter";
      },
    },
    said: () =>
      fake.sent.map(({ jid, content }) => ({
        conversation: jid === group ? group : jid.replace(/@.*/, ""),
        text: String(content.text),
      })),
    steps: () => fake.steps,
    close: () => fake.close(),
  };
}
