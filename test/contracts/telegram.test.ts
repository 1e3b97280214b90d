import { telegramBench } from "../support/telegram/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("telegram, long polling", () => telegramBench("polling"));
channelContract("telegram, webhook", () => telegramBench("webhook"));
