import { signalBench } from "../support/signal/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("signal, HTTP and events", () => signalBench("http"));
channelContract("signal, socket", () => signalBench("socket"));
