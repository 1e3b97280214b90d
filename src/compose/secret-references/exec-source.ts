import { lstat } from "node:fs/promises";
import { normalize } from "node:path";
import type { SecretProvider } from "../../config/mod.ts";
import type { HelperPrograms } from "../../sandbox/mod.ts";
import { absolutePath, NotFollowed } from "./not-followed.ts";

type ExecProvider = Extract<SecretProvider, { readonly source: "exec" }>;

const defaultTimeoutMs = 5000;
const defaultMaxOutputBytes = 1_048_576;

/** Asks a program for a secret, by the documented exchange of one JSON line each way. */
export async function readExec(
  provider: ExecProvider,
  asked: { readonly id: string; readonly provider: string },
  ports: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly uid: number;
    readonly programs: Pick<HelperPrograms, "exchange">;
  },
): Promise<string> {
  const program = await trustedProgram(provider, ports);
  const { timeoutMs = defaultTimeoutMs, maxOutputBytes = defaultMaxOutputBytes } = provider;
  const request = { protocolVersion: 1, provider: asked.provider, ids: [asked.id] };
  const answer = await ports.programs.exchange({
    program,
    args: provider.args ?? [],
    env: { ...passed(provider.passEnv ?? [], ports.env), ...provider.env },
    input: `${JSON.stringify(request)}\n`,
    timeoutMs,
    idleTimeoutMs: provider.noOutputTimeoutMs ?? timeoutMs,
    maxOutputBytes: Math.min(maxOutputBytes, defaultMaxOutputBytes),
  });
  if ("failure" in answer) throw new NotFollowed(`${program}: ${answer.failure}`);
  return valueIn(answer.output, asked.id, provider.jsonOnly ?? true, program);
}

/** Whoever could write this file, or put another in its place, would get every secret that it is asked for. */
async function trustedProgram(
  { command, trustedDirs }: ExecProvider,
  { env, uid }: { readonly env: Readonly<Record<string, string | undefined>>; readonly uid: number },
): Promise<string> {
  const file = absolutePath(command, env.HOME);
  const refuse = (what: string) => new NotFollowed(`${command} ${what}`);
  if (file === undefined || normalize(file) !== file) throw refuse("is not an absolute path");
  const inside = (folder: string) => file.startsWith(`${folder.replace(/\/+$/, "")}/`);
  if (trustedDirs && !trustedDirs.some((folder) => inside(absolutePath(folder, env.HOME) ?? "\0")))
    throw refuse("lies in none of trustedDirs");
  const state = await lstat(file).catch(() => undefined);
  if (!state) throw refuse("is not there");
  if (state.isSymbolicLink()) throw refuse("is a symbolic link");
  if (!state.isFile()) throw refuse("is not a regular file");
  if (state.uid !== uid && state.uid !== 0) throw refuse("belongs to somebody else");
  if ((state.mode & 0o022) !== 0) throw refuse("may be written by others");
  return file;
}

function passed(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function valueIn(output: string, id: string, jsonOnly: boolean, program: string): string {
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    if (!jsonOnly) return output.replace(/\r?\n$/, "");
    throw new NotFollowed(`${program} did not answer in JSON`);
  }
  const { protocolVersion, values, errors } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (protocolVersion !== 1) throw new NotFollowed(`${program} answered in another protocol than version 1`);
  const value = memberOf(values, id);
  if (typeof value === "string") return value;
  const code = memberOf(memberOf(errors, id), "code");
  const isPlain = typeof code === "string" && /^[A-Z_]{1,40}$/.test(code);
  throw new NotFollowed(`${program} has no value for ${id}${isPlain ? ` (${code})` : ""}`);
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}
