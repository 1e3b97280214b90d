import { freePort } from "../../support/gateway.ts";
import { FakeTelegram } from "../../support/telegram/server.ts";
import type { Carrier } from "../carrier.ts";

const chats = ["41", "42", "43", "44", "45"];
const group = "-100200300";

const webhookPath = "/telegram-webhook";

/** `posted`: to a webhook of ours; fetched by us otherwise. */
export async function telegramCarrier(posted = false): Promise<Carrier> {
  const port = posted ? await freePort() : undefined;
  const fake = await FakeTelegram.start({
    keepAlive: false,
    // What a proxy in front of the gateway does.
    webhookTo: () => `http://127.0.0.1:${port}${webhookPath}`,
  });
  const webhook = {
    webhookUrl: `https://bot.example${webhookPath}`,
    webhookPath,
    webhookSecret: "storm-secret_0123456",
  };
  const updates = new Map<string, number>();
  let counted = 0;
  let steps = 0;
  const messageOf = (conversation: string, text: string) => ({
    text,
    from: conversation === group ? 42 : Number(conversation),
    chat: Number(conversation),
  });
  const write = (conversation: string, text: string) => {
    updates.set(text, fake.deliver(messageOf(conversation, text)));
  };
  return {
    channel: "telegram",
    ...(port === undefined ? {} : { port }),
    section: {
      ...(posted ? webhook : {}),
      botToken: fake.token,
      apiRoot: fake.url,
      dmPolicy: "allowlist",
      allowFrom: chats,
      groupPolicy: "allowlist",
      groups: { [group]: { requireMention: false, allowFrom: ["42"] } },
    },
    conversations: [...chats, group],
    write,
    writeSwapped(conversation, earlier, later) {
      write(conversation, earlier);
      write(conversation, later);
      fake.queue.swap();
    },
    repeat(text) {
      const id = updates.get(text) ?? 0;
      // What is not confirmed comes again by itself, and never before what is older.
      if (!fake.queue.pending.includes(id)) fake.redeliver(id);
    },
    cut: () => fake.cutConnections(),
    breakSend: {
      limited: () =>
        fake.fault("sendMessage", {
          kind: "answer",
          status: 429,
          description: "Too Many Requests: retry after 1",
          parameters: { retry_after: 1 },
        }),
      lostBefore: () => fake.fault("sendMessage", { kind: "closeBefore" }),
      lostAfter: () => fake.fault("sendMessage", { kind: "closeAfter" }),
    },
    said: () => fake.sent.map(({ chatId, text }) => ({ conversation: chatId, text })),
    // To ask about one message takes a hundred calls: a kill in the midst of each would leave it unasked for ever.
    steps() {
      for (; counted < fake.calls.length; counted += 1)
        steps += fake.calls[counted]?.method === "editMessageReplyMarkup" ? 0.04 : 1;
      return steps;
    },
    close: () => fake.close(),
  };
}
