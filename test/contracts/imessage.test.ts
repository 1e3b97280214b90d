import { imessageBench } from "../support/imessage/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("imessage, imsg rpc", imessageBench);
channelAttacks("imessage, imsg rpc", imessageBench);
