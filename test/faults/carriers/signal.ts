import { ownNumber } from "../../support/signal/harness.ts";
import { FakeSignal } from "../../support/signal/server.ts";
import { type Carrier, people } from "../carrier.ts";

const group = "c3Rvcm0tb2YtdGhlLWhvdXNl";

/** Over HTTP, as signal-cli's daemon serves it. Nobody can ask it later what it has sent. */
export async function signalCarrier(): Promise<Carrier> {
  const fake = new FakeSignal();
  await fake.listen();
  const uuids = new Map(people.map((name, index) => [name, `aaaaaaaa-0000-4000-8000-00000000000${index}`]));
  const events = new Map<string, object>();
  const eventOf = (conversation: string, text: string) => {
    const name = conversation === group ? people[0] : (conversation as (typeof people)[number]);
    const more = conversation === group ? { groupInfo: { groupId: group, type: "DELIVER" } } : {};
    const event = fake.envelope({ uuid: uuids.get(name) ?? "", name }, { message: text, ...more });
    events.set(text, event);
    return event;
  };
  const conversationOf = (params: Readonly<Record<string, unknown>>) => {
    const [recipient] = (params.recipient ?? []) as readonly string[];
    return people.find((name) => uuids.get(name) === recipient) ?? String(params.groupId);
  };
  const data = { response: { results: [{ type: "RATE_LIMIT_FAILURE", retryAfterSeconds: 1 }] } };
  return {
    channel: "signal",
    section: {
      account: ownNumber,
      transport: { kind: "external-native", url: fake.url },
      dmPolicy: "allowlist",
      allowFrom: [...uuids.values()],
      groupPolicy: "allowlist",
      groups: { [group]: { requireMention: false, allowFrom: [...uuids.values()] } },
    },
    conversations: [...people, group],
    write: (conversation, text) => fake.push(eventOf(conversation, text)),
    writeSwapped(conversation, earlier, later) {
      const first = eventOf(conversation, earlier);
      fake.push(eventOf(conversation, later));
      fake.push(first);
    },
    repeat(text) {
      const event = events.get(text);
      if (event) fake.push(event);
    },
    cut: () => fake.cut(),
    breakSend: {
      limited: () => void fake.faults.set("send", { kind: "refuse", code: -5, data }),
      lostAfter: () => void fake.faults.set("send", { kind: "closeAfter" }),
    },
    said: () =>
      fake.callsOf("send").map(({ params }) => ({
        conversation: conversationOf(params),
        text: String(params.message),
      })),
    steps: () => fake.calls.length + fake.lastEventIds.length,
    close: () => fake.close(),
  };
}
