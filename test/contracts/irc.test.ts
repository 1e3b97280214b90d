import { ircBench } from "../support/irc/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("irc, a server with a history", ircBench);
