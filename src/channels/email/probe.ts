import type { Clock } from "../../kernel/mod.ts";
import type { Probe } from "../platform.ts";
import { probe } from "../probe.ts";
import { Credential } from "./login.ts";
import { mayLogIn } from "./mailbox.ts";
import type { EmailAccount } from "./settings.ts";
import { troubleOf } from "./trouble.ts";

/** Logs in to the mailbox. A refresh token is not used up for it: some providers give a new one each time. */
export async function probeEmail(settings: EmailAccount, clock: Clock): Promise<Probe> {
  const { login, address } = settings;
  if (login.with.kind === "oauth2")
    return { outcome: "unreachable", detail: "OAuth2 is first tried when the channel starts" };
  const credential = new Credential(login, clock, "");
  return probe(
    async () => {
      await mayLogIn(settings, await credential.get());
      return address;
    },
    (error) => troubleOf(error, 0),
  );
}
