import { telegramBench } from "../support/telegram/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("telegram, long polling", () => telegramBench("polling"));
channelAttacks("telegram, long polling", () => telegramBench("polling"));
channelContract("telegram, webhook", () => telegramBench("webhook"));
channelAttacks("telegram, webhook", () => telegramBench("webhook"));
