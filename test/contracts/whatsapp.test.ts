import { whatsappBench } from "../support/whatsapp/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("whatsapp, a double of the library", whatsappBench);
channelAttacks("whatsapp, a double of the library", whatsappBench);
