import { FakeDiscord } from "../../support/discord/server.ts";
import type { Carrier } from "../carrier.ts";

const persons = ["41", "42", "43", "44", "45"].map((end) => `1000000000000000${end}`);
const room = "600000000000000001";

export async function discordCarrier(): Promise<Carrier> {
  const fake = await FakeDiscord.start();
  fake.addChannel(room);
  const ids = new Map<string, string>();
  const write = (conversation: string, text: string, isHeard = true) => {
    const place = conversation === room ? { from: persons[0] ?? "", channel: room } : { from: conversation };
    ids.set(text, fake.write({ text, ...place }, isHeard));
  };
  const personOf = new Map(persons.map((person) => [fake.directOf(person), person]));
  const limited = { message: "You are being rate limited.", retry_after: 1, global: false };
  const call = "POST /api/v10/channels";
  return {
    channel: "discord",
    section: {
      token: fake.token,
      apiRoot: fake.apiRoot,
      dmPolicy: "allowlist",
      allowFrom: persons,
      groupPolicy: "allowlist",
      groups: { [room]: { requireMention: false, allowFrom: persons } },
    },
    conversations: [...persons, room],
    write(conversation, text, away) {
      // Every session is over: what was written is in the histories only.
      if (away) fake.gateway.forgetSessions();
      write(conversation, text);
    },
    writeSwapped(conversation, earlier, later) {
      write(conversation, earlier, false);
      write(conversation, later);
      fake.again(ids.get(earlier) ?? "");
    },
    repeat: (text) => fake.again(ids.get(text) ?? ""),
    cut: () => fake.api.cutConnections(),
    breakSend: {
      limited: () =>
        fake.api.fault(call, {
          kind: "answer",
          status: 429,
          headers: { "retry-after": "1" },
          body: limited,
        }),
      lostBefore: () => fake.api.fault(call, { kind: "closeBefore" }),
      lostAfter: () => fake.api.fault(call, { kind: "closeAfter" }),
    },
    said: () =>
      fake.sent.map(({ channel_id: id, content }) => ({
        conversation: personOf.get(id) ?? id,
        text: content,
      })),
    steps: () => fake.api.calls.length,
    close: () => fake.api.close(),
  };
}
