import { FakeIrc, type Stored } from "../../support/irc/server.ts";
import { type Carrier, people } from "../carrier.ts";

const password = "sasl-password-of-the-storm";
const room = "#lounge";

export async function ircCarrier(): Promise<Carrier> {
  const fake = await FakeIrc.start({ accounts: { house: password } }, Date.now);
  for (const nick of people) fake.people.set(nick, { nick, account: nick });
  const written = new Map<string, Stored>();
  let counted = 0;
  let steps = 0;
  const breakNext = (fault: (typeof fake.faults)[number]) => {
    const isFirst = fake.faults.length === 0;
    if (isFirst) fake.faults.push(fault);
    return isFirst;
  };
  return {
    channel: "irc",
    section: {
      host: "127.0.0.1",
      port: fake.port,
      tls: false,
      nick: "house",
      sasl: { username: "house", password },
      channels: [room],
      lineIntervalMs: 20,
      dmPolicy: "allowlist",
      allowFrom: people,
      groupPolicy: "allowlist",
      groups: { [room]: { requireMention: false, allowFrom: people } },
    },
    conversations: [...people, room],
    write(conversation, text) {
      const nick = conversation === room ? people[0] : conversation;
      written.set(text, fake.say({ nick, account: nick }, conversation === room ? room : "house", text));
    },
    repeat(text) {
      const message = written.get(text);
      if (message) fake.play(message);
    },
    cut: () => fake.cut(),
    breakSend: {
      limited: () => breakNext({ answer: "439 % :Target change too fast. Please wait 1 seconds" }),
      lostAfter: () => breakNext("closeAfter"),
    },
    said: () => fake.said.map(({ target, text }) => ({ conversation: target, text })),
    // To sign in takes a score of lines: killed at each, no life would come to anything else.
    steps() {
      for (; counted < fake.lines.length; counted += 1)
        if (/(?:^| )(?:PRIVMSG|CHATHISTORY|CAP END)/.test(fake.lines[counted] ?? "")) steps += 1;
      return steps;
    },
    close: () => fake.close(),
  };
}
