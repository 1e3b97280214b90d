import type { Clock } from "../../kernel/mod.ts";
import { openHttp } from "../http-calls.ts";
import type { Probe } from "../platform.ts";
import { probe } from "../probe.ts";
import { troubleOf } from "./connection.ts";
import { openCredentials } from "./credentials.ts";
import { openRest } from "./rest.ts";
import type { GithubAccount } from "./settings.ts";

const deadlineMs = 10_000;

export async function probeGithub({ apiRoot, auth }: GithubAccount, clock: Clock): Promise<Probe> {
  const late = new AbortController();
  const cancel = clock.after(deadlineMs, () => late.abort());
  const credentials = openCredentials(auth, openRest({ apiRoot, http: openHttp(clock), clock }), clock);
  try {
    return await probe(
      async () => `@${(await credentials.whoAmI(late.signal)).login}`,
      (error) => troubleOf(error, 0, auth.kind),
    );
  } finally {
    cancel();
  }
}
