import { signalBench } from "../support/signal/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("signal, HTTP and events", () => signalBench("http"));
channelAttacks("signal, HTTP and events", () => signalBench("http"));
channelContract("signal, socket", () => signalBench("socket"));
channelAttacks("signal, socket", () => signalBench("socket"));
