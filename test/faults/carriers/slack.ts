import { freePort } from "../../support/gateway.ts";
import { FakeSlack } from "../../support/slack/server.ts";
import type { Carrier } from "../carrier.ts";

const persons = ["UADA00041", "UBEN00042", "UCEM00043", "UDIA00044", "UEVA00045"];
const room = "CROOM0001";

/** `posted`: events come to a path of ours; over a socket otherwise. */
export async function slackCarrier(posted = false): Promise<Carrier> {
  const fake = await FakeSlack.start();
  const port = posted ? await freePort() : undefined;
  fake.now = () => Math.floor(Date.now() / 1000);
  if (posted) fake.postTo = `http://127.0.0.1:${port}/slack/events`;
  fake.kinds.set(room, { is_channel: true });
  for (const person of persons) fake.kinds.set(fake.directOf(person), { is_im: true });
  const keys = new Map<string, string>();
  const messageOf = (conversation: string, text: string) =>
    conversation === room ? { text, from: persons[0] ?? "", channel: room } : { text, from: conversation };
  /** In the history, and in no session yet. */
  const keep = (conversation: string, text: string) => {
    const key = fake.writeUnheard(messageOf(conversation, text));
    keys.set(text, key);
    return key;
  };
  const offer = (conversation: string, text: string, key: string) => {
    const [channel = "", ts = ""] = key.split("/");
    const { from: user } = messageOf(conversation, text);
    const channel_type = conversation === room ? "channel" : "im";
    fake.deliver({
      event: { type: "message", channel, channel_type, user, text, ts, team: fake.bot.team_id },
    });
  };
  const personOf = new Map(persons.map((person) => [fake.directOf(person), person]));
  const call = "chat.postMessage";
  return {
    channel: "slack",
    ...(port === undefined ? {} : { port }),
    section: {
      botToken: fake.botToken,
      ...(posted ? { mode: "http", signingSecret: fake.signingSecret } : { appToken: fake.appToken }),
      apiRoot: fake.apiRoot,
      dmPolicy: "allowlist",
      allowFrom: persons,
      groupPolicy: "allowlist",
      groups: { [room]: { requireMention: false, allowFrom: persons } },
    },
    conversations: [...persons, room],
    write(conversation, text, away) {
      const key = keep(conversation, text);
      if (!away) offer(conversation, text, key);
    },
    writeSwapped(conversation, earlier, later) {
      const first = keep(conversation, earlier);
      offer(conversation, later, keep(conversation, later));
      offer(conversation, earlier, first);
    },
    repeat(text) {
      const key = keys.get(text) ?? "";
      // What was only in the history was never offered.
      if (fake.isOffered(key)) fake.again(key);
    },
    cut: () => fake.api.cutConnections(),
    breakSend: {
      limited: () =>
        fake.api.fault(call, {
          kind: "answer",
          status: 429,
          headers: { "retry-after": "1" },
          body: { ok: false, error: "ratelimited" },
        }),
      lostBefore: () => fake.api.fault(call, { kind: "closeBefore" }),
      lostAfter: () => fake.api.fault(call, { kind: "closeAfter" }),
    },
    said: () =>
      fake.sent.map(({ channel, text }) => ({ conversation: personOf.get(channel) ?? channel, text })),
    steps: () => fake.api.calls.length + fake.acks.length,
    close: () => fake.close(),
  };
}
