import { githubBench } from "../support/github/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

channelContract("github, App", () => githubBench("app"));
channelAttacks("github, App", () => githubBench("app"));
channelContract("github, token", () => githubBench("token"));
channelAttacks("github, token", () => githubBench("token"));
