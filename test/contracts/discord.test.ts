import { discordBench } from "../support/discord/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("discord", discordBench);
