import type { CommandContext } from "./define.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { OptionSpec } from "./options.ts";
import { ago, facts, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

interface Pending {
  readonly requestId: string;
  readonly deviceId: string;
  readonly displayName?: string;
  readonly platform?: string;
  readonly clientId?: string;
  readonly clientMode?: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly remoteIp?: string;
  readonly isRepair: boolean;
  readonly ts: number;
}

interface Paired {
  readonly deviceId: string;
  readonly displayName?: string;
  readonly operatorLabel?: string;
  readonly platform?: string;
  readonly clientId?: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly approvedVia: string;
  readonly lastSeenAtMs?: number;
  readonly connected: boolean;
  readonly tokens: readonly { readonly role: string; readonly revokedAtMs?: number }[];
}

interface Listed {
  readonly pending: readonly Pending[];
  readonly paired: readonly Paired[];
}

type Context = CommandContext<OptionSpec>;

const fetchAll = (context: Pick<Context, "ask">) =>
  context.ask<Listed>("operator.pairing", "device.pair.list");

const list = define({
  help: {
    usage: "devices [list] [options]",
    about:
      "Devices that wait for your yes, and those that are paired. The name is what the device claims; the id is proved.",
    example: "openclaw devices list",
  },
  run: async (context) => {
    const answer = await fetchAll(context);
    const pending = table(
      ["REQUEST", "CLAIMED NAME", "PLATFORM", "FROM", "ROLES", "SCOPES", "ASKED"],
      answer.pending.map((item) => [
        item.requestId,
        item.displayName ?? item.clientId ?? "",
        item.platform ?? "",
        item.remoteIp ?? "",
        item.roles.join(","),
        shortScopes(item.scopes),
        ago(item.ts, context.now),
      ]),
      context.columns,
      context.style.dim,
    );
    const paired = table(
      ["DEVICE", "NAME", "PLATFORM", "ROLES", "SCOPES", "APPROVED", "SEEN"],
      answer.paired.map((item) => [
        item.deviceId,
        item.operatorLabel ?? item.displayName ?? item.clientId ?? "",
        item.platform ?? "",
        item.roles.map((role) => (isRevoked(item, role) ? `${role} (revoked)` : role)).join(","),
        shortScopes(item.scopes),
        item.approvedVia,
        item.connected
          ? "now"
          : item.lastSeenAtMs === undefined
            ? "never"
            : ago(item.lastSeenAtMs, context.now),
      ]),
      context.columns,
      context.style.dim,
    );
    context.print(answer, () =>
      pending === "" && paired === ""
        ? "No device is paired, and none waits.\n"
        : [pending, paired].filter((text) => text !== "").join("\n"),
    );
    return 0;
  },
});

const approve = define({
  help: {
    usage: "devices approve [request] [options]",
    about: `Lets a device in, with the roles and scopes that it asks for. Without a request it only shows the one that
asked last, and exits with 1.`,
    options: [
      ["--latest", "approve the one that asked last"],
      [
        "--role <role>",
        "owner, admin or viewer: what it may do as an operator at most, whatever it asks for",
      ],
    ],
    example: "openclaw devices approve 8604bdd8-3b39-4ef9-a1c5-1dcceb512e22",
  },
  options: { latest: "flag", role: "text" },
  words: [0, 1],
  run: async (context) => {
    const [given] = context.words;
    const { role } = context.options;
    if (role !== undefined && !["owner", "admin", "viewer"].includes(role))
      throw new UsageError(`--role ${JSON.stringify(role)}: it must be owner, admin or viewer`);
    const { pending } = given === undefined ? await fetchAll(context) : { pending: [] };
    const latest = pending.reduce<Pending | undefined>(
      (newest, item) => (newest && newest.ts >= item.ts ? newest : item),
      undefined,
    );
    const requestId = given ?? latest?.requestId;
    if (requestId === undefined) throw new CommandFailure(1, "no device waits to be paired");
    if (latest && !context.options.latest) {
      context.print(
        latest,
        () =>
          `${requestText(latest)}Nothing was approved. To approve it: openclaw devices approve ${requestId}\n`,
      );
      return 1;
    }
    // A device gets nothing that its approver does not hold.
    const answer = await context.ask<{ device: Paired }>("operator.admin", "device.pair.approve", {
      requestId,
      ...(role === undefined ? {} : { operatorRole: role }),
    });
    context.print(
      answer,
      () =>
        `${visibleLine(answer.device.displayName ?? answer.device.deviceId)} is paired: ${visibleLine(answer.device.roles.join(", "))}; ${visibleLine(shortScopes(answer.device.scopes))}\n`,
    );
    return 0;
  },
});

function requestText(item: Pending): string {
  return facts([
    ["request", item.requestId],
    ["device", item.deviceId],
    ["claims to be", item.displayName ?? item.clientId ?? ""],
    ["platform", item.platform ?? ""],
    ["from", item.remoteIp ?? ""],
    ["roles", item.roles.join(", ")],
    ["scopes", shortScopes(item.scopes)],
    ["known", item.isRepair ? "yes: it asks for more, or has changed" : "no"],
  ]);
}

const reject = define({
  help: {
    usage: "devices reject <request> [options]",
    about: "Takes the request off the list. The device may ask again.",
    example: "openclaw devices reject 8604bdd8-3b39-4ef9-a1c5-1dcceb512e22",
  },
  words: [1, 1],
  run: async (context) => {
    const [requestId = ""] = context.words;
    const answer = await context.ask("operator.pairing", "device.pair.reject", { requestId });
    context.print(answer, () => "The request was rejected.\n");
    return 0;
  },
});

const remove = define({
  help: {
    usage: "devices remove <device> [options]",
    about: "Forgets a device: its connections end, its tokens are worth nothing, what it started stops.",
    example: "openclaw devices remove 8ad750fb",
  },
  words: [1, 1],
  run: async (context) => {
    const deviceId = await deviceOf(context, context.words[0]);
    const answer = await context.ask("operator.pairing", "device.pair.remove", { deviceId });
    context.print(answer, () => `${deviceId} was removed.\n`);
    return 0;
  },
});

const rename = define({
  help: {
    usage: "devices rename --device <device> --name <label> [options]",
    about: "Gives a device a name of yours, shown instead of what it claims.",
    options: [
      ["--device <device>", "its id, or the first characters of it"],
      ["--name <label>", "up to 64 characters"],
    ],
    example: "openclaw devices rename --device 8ad750fb --name kitchen",
  },
  options: { device: "text", name: "text" },
  run: async (context) => {
    const label = needed(context.options.name, "--name");
    const deviceId = await deviceOf(context, context.options.device);
    const answer = await context.ask("operator.pairing", "device.pair.rename", { deviceId, label });
    context.print(answer, () => `${deviceId} is called ${visibleLine(label)}.\n`);
    return 0;
  },
});

const tokenOptions = [
  ["--device <device>", "its id, or the first characters of it"],
  ["--role <role>", "operator or node (operator)"],
] as const;

const rotate = define({
  help: {
    usage: "devices rotate --device <device> [options]",
    about: `Makes the device's token worthless and gives it another one, which it gets when it connects with the
gateway token. The new one is never shown here.`,
    options: [
      ...tokenOptions,
      ["--scope <a,b>", "leave it only these scopes"],
      ["--no-scopes", "leave it none"],
    ],
    example: "openclaw devices rotate --device 8ad750fb --scope operator.read",
  },
  options: { device: "text", role: "text", scope: "text", "no-scopes": "flag" },
  run: async (context) => {
    const { role = "operator", scope } = context.options;
    const deviceId = await deviceOf(context, context.options.device);
    const scopes = context.options["no-scopes"] ? [] : scope?.split(",").map((item) => item.trim());
    const answer = await context.ask<{ scopes: readonly string[] }>("operator.admin", "device.token.rotate", {
      deviceId,
      role,
      ...(scopes ? { scopes } : {}),
    });
    context.print(
      answer,
      () => `The token was rotated. Scopes: ${visibleLine(shortScopes(answer.scopes))}\n`,
    );
    return 0;
  },
});

const revoke = define({
  help: {
    usage: "devices revoke --device <device> [options]",
    about: "Makes the device's token worthless until you approve the device again.",
    options: tokenOptions,
    example: "openclaw devices revoke --device 8ad750fb --role node",
  },
  options: { device: "text", role: "text" },
  run: async (context) => {
    const { role = "operator" } = context.options;
    const deviceId = await deviceOf(context, context.options.device);
    const answer = await context.ask("operator.admin", "device.token.revoke", { deviceId, role });
    context.print(answer, () => "The token was revoked.\n");
    return 0;
  },
});

const clear = define({
  help: {
    usage: "devices clear --yes [options]",
    about: "Forgets all paired devices, or with --pending all requests.",
    options: [
      ["--yes", "really"],
      ["--pending", "the requests, not the devices"],
    ],
    example: "openclaw devices clear --pending --yes",
  },
  options: { yes: "flag", pending: "flag" },
  run: async (context) => {
    if (!context.options.yes) throw new UsageError("this forgets all of them; say --yes if you mean it");
    const client = await context.connect(["operator.pairing"]);
    const { pending, paired } = (await client.request("device.pair.list")) as Listed;
    if (context.options.pending)
      for (const { requestId } of pending) await client.request("device.pair.reject", { requestId });
    else for (const { deviceId } of paired) await client.request("device.pair.remove", { deviceId });
    const count = context.options.pending ? pending.length : paired.length;
    const what = context.options.pending ? "requests" : "devices";
    context.print({ cleared: count }, () => `${count} ${what} forgotten.\n`);
    return 0;
  },
});

/** The device whose id begins so. */
async function deviceOf(context: Pick<Context, "ask">, given: string | undefined): Promise<string> {
  const start = needed(given, "a device");
  if (/^[0-9a-f]{64}$/.test(start)) return start;
  const found = (await fetchAll(context)).paired.filter((item) => item.deviceId.startsWith(start));
  const [only] = found;
  if (!only || found.length > 1 || start.length < 6)
    throw new CommandFailure(
      1,
      `${only ? "more than one device may be meant" : "no device is paired"} with an id that begins with ${JSON.stringify(start)}; give at least 6 characters of it. See: openclaw devices list`,
    );
  return only.deviceId;
}

function needed(value: string | undefined, what: string): string {
  if (!value) throw new UsageError(`${what} is missing`);
  return value;
}

function isRevoked(device: Paired, role: string): boolean {
  return device.tokens.some((item) => item.role === role && item.revokedAtMs !== undefined);
}

/** Without the word that all of them begin with. */
function shortScopes(scopes: readonly string[]): string {
  return scopes.length === 0
    ? "no scopes"
    : scopes.map((scope) => scope.replace(/^operator\./, "")).join(",");
}

export const devicesCommand = group(
  {
    usage: "devices list|approve|reject|remove|rename|rotate|revoke|clear",
    about: `Programs and machines that sign in with a key of their own. All go through the running gateway.

  list                          who waits, who is paired
  approve [request] [--latest]  let a device in with what it asks for
  reject <request>              take a request off the list
  remove <device>               forget a device; its connections end at once
  rename                        give it a name of yours
  rotate, revoke                replace its token, or take it away
  clear --yes [--pending]       forget all`,
    example: "openclaw devices approve --latest",
  },
  { list, approve, reject, remove, rename, rotate, revoke, clear },
  "list",
);
