import type { Clock, Secret } from "../../kernel/mod.ts";
import { openHttp } from "../http-calls.ts";
import type { Probe } from "../platform.ts";
import { probe } from "../probe.ts";
import { troubleOf } from "./connection.ts";
import type { SlackAccount } from "./settings.ts";
import { openWebApi } from "./web-api.ts";

const deadlineMs = 10_000;

/** Both tokens: one says who we are, the other opens the socket (which is not opened here). */
export function probeSlack({ apiRoot, botToken, mode }: SlackAccount, clock: Clock): Promise<Probe> {
  const http = openHttp(clock);
  const open = (token: Secret) => openWebApi({ apiRoot, token, http, clock });
  return probe(
    async () => {
      const { user, team } = await open(botToken).call("auth.test", {}, { deadlineMs });
      if (mode.kind === "socket") await open(mode.appToken).call("apps.connections.open", {}, { deadlineMs });
      return `@${String(user)} in ${String(team)}`;
    },
    (error) => troubleOf(error, 0),
  );
}
