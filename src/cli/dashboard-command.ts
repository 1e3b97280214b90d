import { define } from "./define.ts";

export const dashboardCommand = define({
  help: {
    usage: "dashboard [--no-open]",
    about:
      "Prints a link to the gateway's page that signs in once, within ten minutes. Whoever opens it is an operator: do not share it.",
    options: [["--no-open", "accepted for older scripts; no browser is started"]],
    example: "openclaw dashboard",
  },
  options: { "no-open": "flag" },
  run: async (context) => {
    const answer = await context.ask<{ url: string }>("operator.admin", "dashboard.ticket");
    context.print(answer, () => `${answer.url}\n`);
    return 0;
  },
});
