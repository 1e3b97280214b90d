import type { ConfigEdit } from "../config/mod.ts";
import { systemClock } from "../kernel/mod.ts";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { openAnswers } from "./onboard-answers.ts";
import { facts } from "./table.ts";
import { visibleLine } from "./visible.ts";

export const onboardCommand = define({
  help: {
    usage: "onboard [options]",
    about: `Sets up a gateway step by step: a model, where its key is kept, Telegram if you like, the workspace.
Writes openclaw.json with the secure baseline. An existing one is never replaced without your word.`,
    options: [
      ["--non-interactive", "ask nothing; take the options below and what the environment offers"],
      ["--provider <id>", "anthropic, openai, ollama, ..., or demo"],
      ["--model <id>", "the provider's model, without the provider (its default one)"],
      ["--key-env <NAME>", "the gateway reads the key from this variable of its environment"],
      ["--key-stdin", "the key comes from standard input and goes into the config file"],
      ["--telegram-token-env <NAME>", "the bot's token is in this variable"],
      ["--workspace <path>", "the agents' folder"],
      ["--force", "replace an existing config (the old one is kept beside it)"],
    ],
    example: "openclaw onboard --non-interactive --provider anthropic --key-env ANTHROPIC_API_KEY",
  },
  options: {
    "non-interactive": "flag",
    provider: "text",
    model: "text",
    "key-env": "text",
    "key-stdin": "flag",
    "telegram-token-env": "text",
    workspace: "text",
    force: "flag",
  },
  offline: true,
  run: async (context) => {
    const { cli, options, style } = context;
    const { existsSync } = await import("node:fs");
    const [{ firstRun, writeFirst }, sandboxes, { knownProviders }, { loadConfig, writeConfig }] =
      await Promise.all([
        import("../compose/first-run.ts"),
        import("../compose/sandbox-survey.ts"),
        import("../providers/mod.ts"),
        import("../config/mod.ts"),
      ]);
    const asks = !options["non-interactive"] && !options["key-stdin"];
    const { configFile } = cli.paths;
    const exists = existsSync(configFile);
    if (exists && !asks && !options.force)
      throw new CommandFailure(
        1,
        `${configFile} exists; nothing was changed. Replace it with --force, or change it: openclaw config set`,
      );
    const answers = asks ? openAnswers(cli) : undefined;
    try {
      if (exists && !options.force) {
        answers?.say(`${configFile} exists already.`);
        if ((await answers?.yes("Replace it? The old one is kept beside it.", false)) !== true) {
          cli.stdout("Nothing was changed.\n");
          return 1;
        }
      }

      // --- the model ------------------------------------------------------------------------------------------
      const first = await firstRun({
        env: cli.env,
        random: cli.random,
        known: knownProviders,
        workspace: cli.paths.workspace,
        sandboxMaker: sandboxes.usedMaker(await sandboxes.surveySandboxes(cli)),
      });
      const [suggested = "demo"] = first.model.split("/");
      const ids = Object.keys(knownProviders);
      answers?.say(`Providers: ${ids.join(", ")}.`);
      answers?.say(`Suggested: ${first.model}, ${first.because}.`);
      const provider =
        options.provider ?? (await answers?.choice("Model provider", ids, suggested)) ?? suggested;
      const known = Object.hasOwn(knownProviders, provider) ? knownProviders[provider] : undefined;
      if (!known)
        throw new UsageError(
          `there is no provider ${JSON.stringify(provider)}; there are: ${ids.join(", ")}. Others are configured under models.providers`,
        );
      const usual =
        provider === suggested ? first.model.slice(provider.length + 1) : (known.defaultModel ?? "");
      const model =
        options.model ?? (provider === "demo" ? "demo" : await answers?.text("Model", usual)) ?? usual;
      if (model === "")
        throw new UsageError(`which model of ${provider}? Give --model; only its server can say what it has`);

      // --- its key --------------------------------------------------------------------------------------------
      const edits: ConfigEdit[] = [
        { path: ["agents", "defaults", "model", "primary"], value: `${provider}/${model}` },
      ];
      const found = known.envKeys.find((name) => (cli.env[name] ?? "").trim() !== "");
      let keyFrom = known.envKeys.length === 0 ? "none needed" : "not set yet";
      const keepKey = (value: string) => {
        edits.push({ path: ["models", "providers", provider, "apiKey"], value });
      };
      if (options["key-stdin"]) {
        const key = (await cli.stdin()).trim();
        if (key === "") throw new UsageError("--key-stdin: nothing came on standard input");
        keepKey(key);
        keyFrom = "in the config file";
      } else if (options["key-env"] !== undefined) {
        const name = variableName(options["key-env"]);
        if (!known.envKeys.includes(name)) keepKey(`\${${name}}`);
        keyFrom = `\${${name}} of the gateway's environment`;
      } else if (known.envKeys.length > 0) {
        const usesFound =
          found !== undefined && ((await answers?.yes(`Use the key in ${found}?`, true)) ?? true);
        if (usesFound) keyFrom = `\${${found}} of the gateway's environment`;
        else if (answers) {
          const key = await answers.hidden(`Key for ${provider} (hidden; empty: set it later)`);
          if (key !== "") {
            keepKey(key);
            keyFrom = "in the config file, which only you can read";
          } else keyFrom = `not set yet: put it into ${known.envKeys[0]} of the gateway's environment`;
        }
      }

      // --- a channel, and the folder --------------------------------------------------------------------------
      const telegramName = options["telegram-token-env"];
      const telegram =
        telegramName === undefined
          ? ((await answers?.hidden("Telegram bot token, from @BotFather (hidden; empty: no Telegram)")) ??
            "")
          : `\${${variableName(telegramName)}}`;
      if (telegram !== "")
        edits.push({
          path: ["channels", "telegram"],
          value: { botToken: telegram, dmPolicy: "pairing", groups: { "*": { requireMention: true } } },
        });
      const workspace =
        options.workspace ??
        (await answers?.text("Workspace of the agents", cli.paths.workspace)) ??
        cli.paths.workspace;
      edits.push({ path: ["agents", "defaults", "workspace"], value: workspace });

      // --- write ----------------------------------------------------------------------------------------------
      let kept = "";
      if (exists) {
        const old = await loadConfig({ file: configFile, env: cli.env, allowUnresolved: true });
        const { rename } = await import("node:fs/promises");
        kept = `${configFile}.before-onboard.${cli.clock.now()}`;
        await rename(configFile, kept);
        // Who is signed in stays so: the gateway's own secret goes on where it is a plain one.
        const auth = old.ok ? old.unsubstituted : undefined;
        const oldToken = (auth as { gateway?: { auth?: { token?: unknown } } } | undefined)?.gateway?.auth
          ?.token;
        if (typeof oldToken === "string" && oldToken !== "")
          edits.push({ path: ["gateway", "auth", "token"], value: oldToken });
      }
      await writeFirst(cli.paths, first.config);
      const written = await writeConfig({
        file: configFile,
        env: cli.env,
        edits,
        clock: systemClock,
        random: cli.random,
      });
      if (!written.ok)
        throw new CommandFailure(
          1,
          `the answers do not make a valid config: ${written.message}. A plain first config is in ${configFile}`,
        );
      context.print({ ok: true, configFile, model: `${provider}/${model}`, workspace }, () =>
        [
          "\n",
          facts([
            ["config", configFile],
            ...(kept === "" ? [] : [["kept", kept] as const]),
            [
              "model",
              `${provider}/${model}${provider === "demo" ? " (offline demonstration, not a real model)" : ""}`,
            ],
            ["key", keyFrom],
            [
              "telegram",
              telegram === "" ? "not set up" : "set up: who writes to the bot gets a pairing code",
            ],
            ["workspace", workspace],
          ]),
          `\n${style.bold("Next:")} openclaw gateway run\nThen, in another terminal: openclaw chat, or openclaw dashboard\n`,
        ].join(""),
      );
      return 0;
    } finally {
      answers?.close();
    }
  },
});

function variableName(text: string): string {
  if (!/^[A-Z_][A-Z0-9_]*$/i.test(text))
    throw new UsageError(`${visibleLine(JSON.stringify(text))} is no name of an environment variable`);
  return text;
}
