import { token } from "../kernel/mod.ts";
import { type CommandContext, define } from "./define.ts";
import type { OptionSpec } from "./options.ts";
import { facts } from "./table.ts";

export const doctorCommand = define({
  help: {
    usage: "doctor [--generate-gateway-token]",
    about: `Says what makes sandboxes on this machine, and what is missing. With --generate-gateway-token it prints a new
random gateway token instead, and how to put it in place. Nothing is changed by it.`,
    options: [["--generate-gateway-token", "make one"]],
    example: "openclaw doctor",
  },
  options: { "generate-gateway-token": "flag" },
  offline: true,
  run: async (context) => {
    if (!context.options["generate-gateway-token"]) return sandboxes(context);
    const fresh = token(context.cli.random);
    context.print(
      { token: fresh },
      () =>
        `${fresh}\n\nTo use it (reads it without leaving it in the shell's history):\n  openclaw config set gateway.auth.token -\nThen paste it, press Enter and Ctrl-D. Everybody who signed in with the old one must sign in again.\n`,
    );
    return 0;
  },
});

/** Found out by the command itself: no gateway need run. */
async function sandboxes({ cli, print }: Pick<CommandContext<OptionSpec>, "cli" | "print">): Promise<number> {
  const { surveySandboxes, usedMaker } = await import("../compose/sandbox-survey.ts");
  const makers = await surveySandboxes(cli);
  print({ sandboxes: makers }, () =>
    facts([
      ["sandboxes", usedMaker(makers) ?? "nothing here can make them"],
      ...makers.map(({ kind, problem }) => [kind, problem ?? "can be used"] as const),
    ]),
  );
  return 0;
}
