import { define } from "./define.ts";
import { qrText } from "./qr-symbol.ts";
import { facts } from "./table.ts";

interface SetupCode {
  readonly setupCode: string;
  readonly gatewayUrl: string;
  readonly access: string;
  readonly expiresAtMs: number;
}

export const qrCommand = define({
  help: {
    usage: "qr [options]",
    about: `A code that lets one new device in, for ten minutes: scan it with the app, or type it there. It holds the gateway's
address and a one-time key, never the gateway's own secret. Whoever sees it can use it: show it to nobody else.`,
    options: [
      ["--setup-code-only", "print the code and nothing else"],
      ["--no-ascii", "no picture, only the code and what it is for"],
      ["--limited", "the device may do less: no administration"],
      ["--node", "for a machine that becomes a node, and for nothing else"],
      ["--public-url <url>", "the address that the device shall use (what the gateway knows of itself)"],
    ],
    example: "openclaw qr --limited",
  },
  options: {
    "setup-code-only": "flag",
    "no-ascii": "flag",
    limited: "flag",
    node: "flag",
    "public-url": "text",
  },
  run: async (context) => {
    const { options, cli } = context;
    const profile = options.node ? "node" : options.limited ? "limited" : undefined;
    const answer = await context.ask<SetupCode>("operator.admin", "device.pair.setupCode", {
      ...(profile === undefined ? {} : { bootstrapProfile: profile }),
      ...(options["public-url"] === undefined ? {} : { publicUrl: options["public-url"] }),
    });
    if (options["setup-code-only"] && !options.json) {
      cli.stdout(`${answer.setupCode}\n`);
      return 0;
    }
    context.print(answer, () =>
      [
        ...(options["no-ascii"] ? [] : [qrText(answer.setupCode, cli.isTTY), "\n"]),
        facts([
          ["setup code", answer.setupCode],
          ["gateway", answer.gatewayUrl],
          ["access", answer.access],
          ["until", new Date(answer.expiresAtMs).toLocaleTimeString()],
          ["a node", `openclaw node run --setup-code <setup code>`],
        ]),
      ].join(""),
    );
    return 0;
  },
});
