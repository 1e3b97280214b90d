/** Every channel that can be put into a storm. */
import { Dovecot } from "../../support/email/dovecot.ts";
import type { Ending } from "../../support/gateway.ts";
import type { Carrier } from "../carrier.ts";
import { discordCarrier } from "./discord.ts";
import { emailCarrier } from "./email.ts";
import { githubCarrier } from "./github.ts";
import { imessageCarrier } from "./imessage.ts";
import { ircCarrier } from "./irc.ts";
import { signalCarrier } from "./signal.ts";
import { slackCarrier } from "./slack.ts";
import { telegramCarrier } from "./telegram.ts";
import { whatsappCarrier } from "./whatsapp.ts";

export const carriers = {
  telegram: () => telegramCarrier(),
  "telegram-webhook": () => telegramCarrier(true),
  discord: discordCarrier,
  slack: () => slackCarrier(),
  "slack-events": () => slackCarrier(true),
  irc: ircCarrier,
  signal: signalCarrier,
  github: githubCarrier,
  imessage: imessageCarrier,
  whatsapp: whatsappCarrier,
  async email(ending: Ending) {
    const dovecot = await Dovecot.start();
    ending.after(() => dovecot.stop());
    return emailCarrier(dovecot);
  },
} satisfies Readonly<Record<string, (ending: Ending) => Promise<Carrier>>>;

export type CarrierId = keyof typeof carriers;
