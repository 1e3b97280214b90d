import { slackBench } from "../support/slack/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("slack, Socket Mode", () => slackBench("socket"));
channelAttacks("slack, Socket Mode", () => slackBench("socket"));
channelContract("slack, posted events", () => slackBench("http"));
channelAttacks("slack, posted events", () => slackBench("http"));
