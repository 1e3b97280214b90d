import { githubBench } from "../support/github/harness.ts";
import { channelContract } from "./channel.ts";

channelContract("github, App", () => githubBench("app"));
channelContract("github, token", () => githubBench("token"));
