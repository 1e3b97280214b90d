import type { ApiTokenView } from "../auth/mod.ts";
import type { TokenOrder } from "../control/mod.ts";
import type { Verdict } from "../kernel/mod.ts";
import { type CommandContext, define, group } from "./define.ts";
import { CommandFailure, NoGateway, UsageError } from "./failure.ts";
import type { OptionSpec } from "./options.ts";
import { ago, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

type Created = Omit<ApiTokenView, "state"> & { readonly token: string };
type Context = Pick<CommandContext<OptionSpec>, "ask" | "cli"> & {
  readonly options: { readonly url?: string; readonly port?: number };
};

const unitsMs: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

const create = define({
  help: {
    usage: "tokens create --name <name> --role|--scope <what> [options]",
    about: `Makes a token for a program, and prints it once: it is not kept, and cannot be shown again.
Use it wherever the gateway token is used. Lists are separated by commas; * in a name stands for anything.`,
    options: [
      ["--name <name>", "what it is for"],
      ["--role <role>", "owner, admin (configuration and monitoring) or viewer (reads)"],
      ["--scope <a,b>", "these scopes instead of a role"],
      ["--method <a,b>", "only these methods"],
      ["--tool <a,b>", "its messages may have an agent call only these tools"],
      ["--agent <a,b>", "only these agents"],
      ["--channel <a,b>", "only these channels"],
      ["--expires <time>", "30m, 12h, 30d or 8w from now; never when absent"],
    ],
    example: "openclaw tokens create --name backup --role viewer --expires 30d",
  },
  options: {
    name: "text",
    role: "text",
    scope: "text",
    method: "text",
    tool: "text",
    agent: "text",
    channel: "text",
    expires: "text",
  },
  run: async (context) => {
    const { name, role, scope, method, tool, agent, channel, expires } = context.options;
    if (!name) throw new UsageError("--name is missing: say what the token is for");
    const order: TokenOrder = {
      name,
      ...(role === undefined ? {} : { role: roleOf(role) }),
      ...(scope === undefined ? {} : { scopes: words(scope) }),
      ...(method === undefined ? {} : { methods: words(method) }),
      ...(tool === undefined ? {} : { tools: words(tool) }),
      ...(agent === undefined ? {} : { agents: words(agent) }),
      ...(channel === undefined ? {} : { channels: words(channel) }),
      ...(expires === undefined ? {} : { expiresInMs: durationMs(expires) }),
    };
    const made = await (await desk(context)).create(order);
    context.print(
      made,
      () =>
        `${made.token}\n\nThis is shown once. It may: ${visibleLine(grantText(made))}; expires ${
          made.expiresAtMs === undefined ? "never" : ago(made.expiresAtMs, context.now)
        }.\nTo end it: openclaw tokens revoke ${made.id}\n`,
    );
    return 0;
  },
});

const list = define({
  help: {
    usage: "tokens [list] [options]",
    about:
      "The tokens that there are, what each may do, and when it was used. The secret part is kept nowhere.",
    example: "openclaw tokens list",
  },
  run: async (context) => {
    const tokens = await (await desk(context)).list();
    context.print({ tokens }, () =>
      tokens.length === 0
        ? "There are no API tokens.\n"
        : table(
            ["ID", "NAME", "MAY", "MADE BY", "EXPIRES", "USED", "STATE"],
            tokens.map((item) => [
              item.id,
              item.name,
              grantText(item),
              item.createdBy,
              item.expiresAtMs === undefined ? "never" : ago(item.expiresAtMs, context.now),
              item.lastUsedAtMs === undefined ? "never" : ago(item.lastUsedAtMs, context.now),
              item.state,
            ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

const revoke = define({
  help: {
    usage: "tokens revoke <name or id> [options]",
    about: "Makes a token worthless, with those that it made: connections end and what they started stops.",
    example: "openclaw tokens revoke backup",
  },
  words: [1, 1],
  run: async (context) => {
    const revoked = await (await desk(context)).revoke(context.words[0] ?? "");
    context.print(
      { revoked },
      () => `Revoked: ${revoked.map((item) => visibleLine(item.name)).join(", ")}\n`,
    );
    return 0;
  },
});

export const tokensCommand = group(
  {
    usage: "tokens list|create|revoke",
    about: `Tokens for programs that should do less than you: named, limited, revocable. They are kept, as hashes, in
credentials/api-tokens.json of the state folder; a running gateway takes a change at once.

  list            what there is
  create          make one, shown once
  revoke <name>   make one worthless`,
    example: "openclaw tokens create --name backup --role viewer --expires 30d",
  },
  { list, create, revoke },
  "list",
);

interface Desk {
  create(order: TokenOrder): Promise<Created>;
  list(): Promise<readonly ApiTokenView[]>;
  revoke(nameOrId: string): Promise<readonly { readonly id: string; readonly name: string }[]>;
}

/** The gateway where one answers; else the file itself, under the same rules. */
async function desk(context: Context): Promise<Desk> {
  try {
    await context.ask("operator.admin", "health");
  } catch (error) {
    const isOwnGateway = context.options.url === undefined && context.options.port === undefined;
    if (error instanceof NoGateway && isOwnGateway) return fileDesk(context);
    throw error;
  }
  const ask = <T>(method: string, params: unknown = {}) => context.ask<T>("operator.admin", method, params);
  return {
    create: (order) => ask<Created>("tokens.create", order),
    list: async () => (await ask<{ tokens: readonly ApiTokenView[] }>("tokens.list")).tokens,
    revoke: async (token) =>
      (await ask<{ revoked: readonly { id: string; name: string }[] }>("tokens.revoke", { token })).revoked,
  };
}

/** Whoever can write the state folder is its owner. */
async function fileDesk({ cli }: Context): Promise<Desk> {
  const [
    { openApiTokens, operatorScopes, roles },
    { wantedToken },
    { ensureFolder, readJsonFile, writeJsonFile },
  ] = await Promise.all([import("../auth/mod.ts"), import("../control/mod.ts"), import("../store/mod.ts")]);
  const { reasonText } = await import("../kernel/mod.ts");
  const { credentials } = cli.paths;
  const path = `${credentials}/api-tokens.json`;
  const tokens = await openApiTokens({
    file: {
      read: () => readJsonFile(path),
      async write(value) {
        await ensureFolder(credentials);
        await writeJsonFile(path, value);
      },
      watch: () => () => {},
    },
    clock: cli.clock,
    random: cli.random,
    log: () => {},
    ended: () => {},
    record: async () => {},
  });
  const maker = { id: "cli", scopes: operatorScopes, limits: {} };
  function done<T>(verdict: Verdict<T>): T {
    if (verdict.ok) return verdict.value;
    throw new CommandFailure(1, `${reasonText(verdict.reason)} (${visibleLine(verdict.detail)})`);
  }
  return {
    async create(order) {
      const wanted = wantedToken(order, { roles, scopes: operatorScopes, nowMs: cli.clock.now });
      const { view, token } = done(await tokens.create(maker, wanted));
      return { ...view, token: token.reveal() };
    },
    list: async () => tokens.list(maker),
    revoke: async (nameOrId) => done(await tokens.revoke(maker, nameOrId)),
  };
}

function grantText(item: Omit<ApiTokenView, "state">): string {
  const limits = (["methods", "except", "tools", "agents", "channels"] as const).flatMap((name) => {
    const list = item[name];
    return list === undefined ? [] : [`${name}: ${list.join(",") || "none"}`];
  });
  const scopes = item.scopes.map((scope) => scope.replace(/^operator\./, "")).join(",");
  return [scopes || "nothing", ...limits].join("; ");
}

function roleOf(text: string): NonNullable<TokenOrder["role"]> {
  if (text === "owner" || text === "admin" || text === "viewer") return text;
  throw new UsageError(`there is no role ${JSON.stringify(text)}; there are: owner, admin, viewer`);
}

function words(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

function durationMs(text: string): number {
  const [, amount = "", unit = ""] = /^(\d{1,5})([mhdw])$/.exec(text) ?? [];
  const ms = Number(amount) * (unitsMs[unit] ?? 0);
  if (!(ms > 0)) throw new UsageError(`--expires ${JSON.stringify(text)}: say 30m, 12h, 30d or 8w`);
  return ms;
}
