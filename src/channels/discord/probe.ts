import type { Clock } from "../../kernel/mod.ts";
import { openHttp } from "../http-calls.ts";
import type { Probe } from "../platform.ts";
import { probe } from "../probe.ts";
import { troubleOf } from "./connection.ts";
import { openRest } from "./rest.ts";
import type { DiscordAccount } from "./settings.ts";

const deadlineMs = 10_000;

export function probeDiscord({ apiRoot, token }: DiscordAccount, clock: Clock): Promise<Probe> {
  const rest = openRest({ apiRoot, token, http: openHttp(clock), clock });
  return probe(
    async () => {
      const me = await rest.call({ method: "GET", path: "/users/@me", deadlineMs });
      return `@${String((me as { readonly username?: unknown } | undefined)?.username)}`;
    },
    (error) => troubleOf(error, 0),
  );
}
