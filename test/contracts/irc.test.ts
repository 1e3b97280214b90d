import { ircBench } from "../support/irc/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("irc, a server with a history", ircBench);
channelAttacks("irc, a server with a history", ircBench);
