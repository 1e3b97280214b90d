import { isIP } from "node:net";
import type { OpenClawConfig } from "../config/mod.ts";
import { InputError, Secret } from "../kernel/mod.ts";
import type { EgressRule } from "./egress-rules.ts";

type EgressConfig = NonNullable<
  NonNullable<NonNullable<NonNullable<OpenClawConfig["agents"]>["defaults"]>["sandbox"]>["egress"]
>;

const maxRules = 200;
/** Headers that frame a request or name its target: a credential is none of them. */
const framing =
  /^(?:host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*)$/i;

/**
 * The rules of `agents.*.sandbox.egress`. Throws an InputError that names the entry: a rule that is not understood as a
 * whole is never followed in part.
 */
export function egressRules(config: EgressConfig): readonly EgressRule[] {
  if (config.length > maxRules)
    throw new InputError(`sandbox.egress has ${config.length} rules; at most ${maxRules} are followed.`);
  return config.map((entry, index) => {
    const wrong = (what: string) => new InputError(`sandbox.egress[${index}]${what}`);
    const host = hostOf(entry.host);
    if (host === undefined)
      throw wrong(
        `.host is neither a name, nor "*." and a name, nor an address in its usual form: ${JSON.stringify(entry.host.slice(0, 80))}.`,
      );
    const isOne = !host.startsWith("*.");
    if (entry.allowPrivate && !isOne) throw wrong(".allowPrivate needs one host, without *.");
    return {
      host,
      ...(entry.port === undefined ? {} : { port: entry.port }),
      ...listOf("methods", entry.methods, /^[A-Z]{1,20}$/, wrong),
      ...listOf("paths", entry.paths, /^\/[^*?#\\\s]*\*?$/, wrong),
      ...(entry.allowPrivate ? { allowPrivate: true } : {}),
      ...(entry.inject === undefined ? {} : { inject: injectOf(entry.inject, isOne, wrong) }),
    };
  });
}

/** An empty list admits nothing, so it is no rule at all: said, not guessed. */
function listOf<K extends "methods" | "paths">(
  key: K,
  values: readonly string[] | undefined,
  pattern: RegExp,
  wrong: (what: string) => InputError,
): { readonly [key in K]?: readonly string[] } {
  if (values === undefined) return {};
  if (values.length === 0) throw wrong(`.${key} is empty. Leave it out to admit all, or remove the rule.`);
  const odd = values.find((value) => !pattern.test(value));
  if (odd !== undefined)
    throw wrong(`.${key} holds ${JSON.stringify(odd.slice(0, 80))}, which is not understood.`);
  return { [key]: values } as { readonly [key in K]: readonly string[] };
}

function injectOf(
  { header, value }: NonNullable<EgressConfig[number]["inject"]>,
  isOneHost: boolean,
  wrong: (what: string) => InputError,
): NonNullable<EgressRule["inject"]> {
  if (!isOneHost) throw wrong(".inject needs one host, without *: a credential is one server's.");
  if (!/^[A-Za-z0-9-]{1,64}$/.test(header) || framing.test(header))
    throw wrong(`.inject.header cannot be ${JSON.stringify(header.slice(0, 80))}.`);
  if (typeof value !== "string")
    throw wrong('.inject.value is a secret reference that was not followed. Write it as "$' + '{NAME}".');
  if (!/^[\t\x20-\x7e]{1,8192}$/.test(value))
    throw wrong(".inject.value is empty or holds characters that no header may have.");
  return { header, value: new Secret(value) };
}

function hostOf(text: string): string | undefined {
  const host = text
    .trim()
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
  if (isIP(host)) return host;
  const name = host.replace(/^\*\./, "");
  const isName = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name) && name.length <= 253;
  // A name whose last part is a number is an address in an unusual spelling.
  return isName && !/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name) ? host : undefined;
}
