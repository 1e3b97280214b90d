import { token } from "../kernel/mod.ts";
import { define } from "./define.ts";
import { UsageError } from "./failure.ts";

export const doctorCommand = define({
  help: {
    usage: "doctor --generate-gateway-token",
    about: "Prints a new random gateway token, and how to put it in place. Nothing is changed by it.",
    options: [["--generate-gateway-token", "make one"]],
    example: "openclaw doctor --generate-gateway-token",
  },
  options: { "generate-gateway-token": "flag" },
  offline: true,
  run: async (context) => {
    if (!context.options["generate-gateway-token"])
      throw new UsageError("say what to do: --generate-gateway-token\nTry: openclaw doctor --help");
    const fresh = token(context.cli.random);
    context.print(
      { token: fresh },
      () =>
        `${fresh}\n\nTo use it (reads it without leaving it in the shell's history):\n  openclaw config set gateway.auth.token -\nThen paste it, press Enter and Ctrl-D. Everybody who signed in with the old one must sign in again.\n`,
    );
    return 0;
  },
});
