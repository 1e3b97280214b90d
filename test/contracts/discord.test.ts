import { discordBench } from "../support/discord/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("discord", discordBench);
channelAttacks("discord", discordBench);
