import { UsageError } from "./failure.ts";

/** "texts" may be given several times. */
type Kind = "flag" | "text" | "texts" | "integer";
export type OptionSpec = Readonly<Record<string, Kind>>;
type Value<K extends Kind> = K extends "flag"
  ? true
  : K extends "integer"
    ? number
    : K extends "texts"
      ? readonly string[]
      : string;
export type Options<S extends OptionSpec> = { readonly [K in keyof S]?: Value<S[K]> } & {
  /** What is no option, in order. */
  readonly rest: readonly string[];
};

/** Reads `--name value`, `--name=value` and flags. Throws an UsageError for what it does not know. */
export function parseOptions<const S extends OptionSpec>(args: readonly string[], spec: S): Options<S> {
  const found: Record<string, string | number | true | readonly string[]> = {};
  const rest: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string;
    if (word === "--") {
      rest.push(...args.slice(index + 1));
      break;
    }
    if (word === "-h") {
      found.help = true;
      continue;
    }
    if (!word.startsWith("--")) {
      rest.push(word);
      continue;
    }
    const [name, inline] = splitOnce(word.slice(2));
    const kind = Object.hasOwn(spec, name) ? spec[name] : undefined;
    if (!kind)
      throw new UsageError(
        `unknown option --${name}; known: ${Object.keys(spec)
          .map((item) => `--${item}`)
          .join(", ")}`,
      );
    if (kind === "flag") {
      found[name] = true;
      continue;
    }
    const value = inline ?? args[++index];
    if (value === undefined) throw new UsageError(`--${name} needs a value`);
    if (kind === "texts") found[name] = [...((found[name] as readonly string[] | undefined) ?? []), value];
    else found[name] = kind === "integer" ? integerOf(name, value) : value;
  }
  // The loop above put in only what `spec` names, each as its kind says.
  return Object.assign({ rest }, found) as object as Options<S>;
}

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function integerOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new UsageError(`--${name} is ${JSON.stringify(text)}; it must be a whole number`);
  return value;
}
