import { join } from "node:path";
import { FakeMessages } from "../../support/imessage/server.ts";
import { type Carrier, people } from "../carrier.ts";

const address = (person: string) => `${person}@icloud.com`;

/** With an `imsg` that is a program of its own: its end is what a cut connection is elsewhere. */
export async function imessageCarrier(): Promise<Carrier> {
  const fake = await FakeMessages.start();
  const written = new Map<string, Readonly<Record<string, unknown>>>();
  fake.chats.push(
    ...people.map((person, index) => ({ id: index + 1, identifier: address(person), service: "iMessage" })),
  );
  const messageOf = (conversation: string, text: string) => ({
    sender: address(conversation),
    text,
    chat_id: people.indexOf(conversation as (typeof people)[number]) + 1,
    chat_guid: `iMessage;-;${address(conversation)}`,
  });
  return {
    channel: "imessage",
    section: {
      cliPath: join(fake.folder, "imsg"),
      dmPolicy: "allowlist",
      allowFrom: people.map(address),
    },
    conversations: people,
    write(conversation, text) {
      written.set(text, fake.write(messageOf(conversation, text)));
    },
    repeat(text) {
      const message = written.get(text);
      if (message) fake.tell(message);
    },
    cut: () => fake.cut(),
    breakSend: { lostAfter: () => void fake.faults.set("send", { kind: "exitAfter" }) },
    said: () =>
      fake.callsOf("send").map((params) => ({
        conversation: String(params.to).replace(/@.*/, ""),
        text: String(params.text),
      })),
    steps: () => fake.calls.length + fake.runs.length,
    close: () => fake.close(),
  };
}
