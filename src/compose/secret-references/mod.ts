/**
 * Secrets that the config refers to instead of holding them.
 *
 * 1. What cannot be had is an error with the setting's name; nothing else takes its place.
 * 2. A file is its owner's alone: regular, one link, nobody else may read or write it; it is read from the one
 *    descriptor that was checked.
 * 3. A program is named by its absolute path, is not a link, is its owner's to write, and runs without a shell, with
 *    no variable of the gateway but those that are named.
 * 4. No sentence holds a value, or anything that a file or program said.
 */
import type { FollowReference } from "../../config/mod.ts";
import { lendHelperPrograms } from "../helper-programs.ts";
import { readExec } from "./exec-source.ts";
import { readFileSource } from "./file-source.ts";
import { NotFollowed } from "./not-followed.ts";

export interface SecretReferencePorts {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Who runs this: files and programs must be his, or root's. */
  readonly uid: number;
  readonly after: (delayMs: number, action: () => void) => () => void;
}

export function createSecretReferences(ports: SecretReferencePorts): FollowReference {
  const { env, uid } = ports;
  const programs = lendHelperPrograms({ path: env.PATH ?? "", after: ports.after });

  function fromEnvironment(id: string, allowlist: readonly string[] | undefined): string {
    if (allowlist && !allowlist.includes(id))
      throw new NotFollowed(`${id} is not in its provider's allowlist`);
    const value = Object.hasOwn(env, id) ? env[id] : undefined;
    if (value === undefined) throw new NotFollowed(`the variable ${id} is not set`);
    return value;
  }

  const get: (...order: Parameters<FollowReference>) => Promise<string> = async (
    { id, provider },
    source,
  ) => {
    switch (source.source) {
      case "env":
        return fromEnvironment(id, source.allowlist);
      case "file":
        return readFileSource(source, id, { uid, home: env.HOME });
      case "exec":
        return readExec(source, { id, provider: provider ?? "default" }, { env, uid, programs });
      default:
        throw new NotFollowed(`the source "${source.source}" is not available yet`);
    }
  };

  return async (reference, provider) => {
    try {
      const value = await get(reference, provider);
      return value.trim() === "" ? { ok: false, why: "what it leads to is empty" } : { ok: true, value };
    } catch (error) {
      // What another error says could be a piece of what was read.
      const why = error instanceof NotFollowed ? error.message : "it failed unexpectedly";
      return { ok: false, why };
    }
  };
}
