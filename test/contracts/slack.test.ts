import { slackBench } from "../support/slack/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("slack, Socket Mode", () => slackBench("socket"));
channelContract("slack, posted events", () => slackBench("http"));
