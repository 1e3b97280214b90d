import { imessageBench } from "../support/imessage/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("imessage, imsg rpc", imessageBench);
