import { whatsappBench } from "../support/whatsapp/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("whatsapp, a double of the library", whatsappBench);
