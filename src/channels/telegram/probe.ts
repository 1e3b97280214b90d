import type { Clock } from "../../kernel/mod.ts";
import type { Probe } from "../platform.ts";
import { probe } from "../probe.ts";
import { openBotApi } from "./bot-api.ts";
import { troubleOf } from "./connection.ts";
import type { TelegramAccount } from "./settings.ts";

const deadlineMs = 10_000;

export function probeTelegram(settings: TelegramAccount, clock: Clock): Promise<Probe> {
  const api = openBotApi(settings, clock);
  const ask = () => api.call("getMe", { deadlineMs }, (bot, signal) => bot.getMe(signal));
  return probe(
    async () => `@${(await ask()).username}`,
    (error) => troubleOf(error, 0),
  );
}
