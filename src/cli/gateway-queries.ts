import { GatewayRefusal } from "./client.ts";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { health } from "./health-command.ts";
import { serviceStatus } from "./service-command.ts";
import { facts } from "./table.ts";
import { gatewayTarget } from "./target.ts";
import { jsonText, visibleText } from "./visible.ts";

/** `gateway status`, `probe`, `health` and `call`: questions to a running gateway. */

export const gatewayHealth = define({
  help: {
    usage: "gateway health [options]",
    about: "The same as openclaw health.",
    example: "openclaw gateway health --json",
  },
  run: health,
});

export const gatewayProbe = define({
  help: {
    usage: "gateway probe [options]",
    about:
      "Whether a gateway answers here, and what this terminal may do with it. Exit code 3 when none answers.",
    example: "openclaw gateway probe --port 18790",
  },
  run: async (context) => {
    const target = await gatewayTarget(context.cli, context.options);
    const started = context.cli.clock.monotonic();
    const client = await context.connect(["operator.admin"]);
    const connectMs = Math.round(context.cli.clock.monotonic() - started);
    const { server, auth, protocol } = client.hello;
    const { scopes } = auth;
    const capability = scopes.includes("operator.admin")
      ? "admin_capable"
      : scopes.length === 0
        ? "connected_no_operator_scope"
        : "read_only";
    const answer = {
      ok: true,
      url: target.url,
      version: server.version,
      protocol,
      capability,
      connectMs,
      auth: {
        role: auth.role,
        scopes,
        method: auth.method ?? null,
        credentialFrom: target.credentialFrom ?? null,
      },
    };
    context.print(answer, () =>
      facts([
        ["gateway", `${target.url} answers, openclaw ${server.version}, protocol ${protocol}`],
        [
          "signed in",
          `${connectMs} ms, ${auth.method ?? "unknown"} from ${target.credentialFrom ?? "nowhere"}`,
        ],
        ["this terminal", capability.replaceAll("_", " ")],
      ]),
    );
    return 0;
  },
});

export const gatewayStatus = define({
  help: {
    usage: "gateway status [options]",
    about: `Whether a gateway runs, where, with which config, and how the service does that runs it. Exit code 3 when none
answers.`,
    options: [["--no-probe", "only the service; the gateway is not asked"]],
    example: "openclaw gateway status",
  },
  options: { "no-probe": "flag" },
  run: async (context) => {
    const { cli } = context;
    const { text: service = "none is installed (openclaw gateway install)", ...serviceFacts } =
      (await serviceStatus(cli, "gateway")) ?? {};
    const installed = "name" in serviceFacts ? { service: serviceFacts } : {};
    if (context.options["no-probe"]) {
      context.print({ ...installed }, () => facts([["service", service]]));
      return 0;
    }
    const target = await gatewayTarget(cli, context.options);
    const rows: (readonly [string, string])[] = [
      ["address", target.url],
      ["config", cli.paths.configFile],
      ["state", cli.paths.root],
      ["service", service],
    ];
    try {
      const client = await context.connect(["operator.read"]);
      const { version, uptimeMs } = (await client.request("health")) as { version: string; uptimeMs: number };
      const certificate = client.certificateFingerprint;
      const answer = {
        running: true,
        url: target.url,
        configFile: cli.paths.configFile,
        version,
        uptimeMs,
        ...installed,
        ...(certificate === undefined ? {} : { certificateFingerprint: certificate }),
      };
      if (certificate !== undefined) rows.push(["certificate", `SHA-256 ${certificate}`]);
      context.print(answer, () =>
        facts([["gateway", `running, openclaw ${version}, for ${Math.round(uptimeMs / 1000)} s`], ...rows]),
      );
      return 0;
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.exitCode !== 3) throw error;
      const answer = {
        running: false,
        url: target.url,
        configFile: cli.paths.configFile,
        error: error.message,
        ...installed,
      };
      context.print(answer, () => facts([["gateway", "not running"], ...rows]));
      cli.stderr(`openclaw: ${error.message}\n`);
      return 3;
    }
  },
});

const messageMethods: ReadonlySet<string> = new Set(["send", "message.action", "poll"]);

export const gatewayCall = define({
  help: {
    usage: "gateway call <method> [options]",
    about: "Calls one method of the gateway's protocol and prints the answer as JSON.",
    options: [
      ["--params <json>", "the method's parameters ({})"],
      ["--scope <scope>", "sign in with this scope only (operator.admin, which covers all)"],
      ["--expect-final", "for methods that answer twice: wait for the second answer"],
    ],
    example: `openclaw gateway call sessions.list --params '{"limit": 3}'`,
  },
  options: { params: "text", scope: "text", "expect-final": "flag" },
  words: [1, 1],
  run: async (context) => {
    const { params: text = "{}", scope = "operator.admin", "expect-final": final } = context.options;
    // As documented: what an agent runs writes to nobody on its own.
    if (context.cli.env.OPENCLAW_SHELL === "exec" && messageMethods.has(context.words[0] ?? ""))
      throw new CommandFailure(1, "an agent's command may not send messages; nothing was sent");
    let params: unknown;
    try {
      params = JSON.parse(text);
    } catch (error) {
      throw new UsageError(`--params is not JSON: ${visibleText((error as Error).message)}`);
    }
    const client = await context.connect([scope]);
    try {
      const answer = await client.request(
        context.words[0] ?? "",
        params,
        final ? { accepted: () => {}, timeoutMs: context.options.timeout ?? 0 } : {},
      );
      context.cli.stdout(`${jsonText(answer)}\n`);
      return 0;
    } catch (error) {
      if (!(error instanceof GatewayRefusal)) throw error;
      context.cli.stdout(`${jsonText({ ok: false, error: error.wire })}\n`);
      context.cli.stderr(`openclaw: ${error.message}\n`);
      return 1;
    }
  },
});
