/**
 * What a safe program may be called with and still be safe: it reads its input and writes its output, and opens,
 * starts and changes nothing else. Options are listed one by one and in full; what is not listed (an abbreviation, a
 * new option, a file's name) is not safe.
 */
interface OptionTable {
  /** Single letters that take no value; they may stand together (-la). */
  readonly flags: string;
  /** Single letters whose value follows, in the same word or in the next one. */
  readonly valued?: string;
  /** Long options: true when a value follows, after = or in the next word; "maybe" when only after =. */
  readonly long?: Readonly<Record<string, boolean | "maybe">>;
  /** Other words that are safe: [fewest, most, what each looks like]. Default: none. */
  readonly words?: readonly [fewest: number, most: number, form?: RegExp];
  /** Words in the old style (-5, +3). */
  readonly old?: RegExp;
}

const tables: Readonly<Record<string, OptionTable>> = {
  // The documented safe programs.
  cut: {
    flags: "snz",
    valued: "bcdf",
    long: {
      bytes: true,
      characters: true,
      delimiter: true,
      fields: true,
      complement: false,
      "only-delimited": false,
      "output-delimiter": true,
      "zero-terminated": false,
    },
  },
  head: {
    flags: "qvz",
    valued: "nc",
    long: { lines: true, bytes: true, quiet: false, silent: false, verbose: false, "zero-terminated": false },
    old: /^-\d+$/,
  },
  tail: {
    flags: "qvz",
    valued: "nc",
    long: { lines: true, bytes: true, quiet: false, silent: false, verbose: false, "zero-terminated": false },
    old: /^-\d+$/,
  },
  tr: {
    flags: "cCdst",
    long: { complement: false, delete: false, "squeeze-repeats": false, "truncate-set1": false },
    words: [1, 2],
  },
  uniq: {
    flags: "cdDiuz",
    valued: "fsw",
    long: {
      count: false,
      repeated: false,
      "ignore-case": false,
      unique: false,
      "skip-fields": true,
      "skip-chars": true,
      "check-chars": true,
      "zero-terminated": false,
    },
  },
  wc: {
    flags: "clLmw",
    long: { bytes: false, chars: false, lines: false, words: false, "max-line-length": false },
  },
  // Listed by the operator only. A pattern is text; there is no room for a file's name beside it.
  grep: {
    flags: "bcEFGHhiLlnoqsvwxz",
    valued: "ABCm",
    long: {
      count: false,
      "extended-regexp": false,
      "fixed-strings": false,
      "basic-regexp": false,
      "ignore-case": false,
      "line-number": false,
      "only-matching": false,
      quiet: false,
      "no-messages": false,
      "invert-match": false,
      "word-regexp": false,
      "line-regexp": false,
      "max-count": true,
      "after-context": true,
      "before-context": true,
      context: true,
      color: "maybe",
      colour: "maybe",
    },
    words: [1, 1],
  },
  sort: {
    flags: "bcCdfghiMnrsuVz",
    valued: "kt",
    long: {
      "ignore-leading-blanks": false,
      "dictionary-order": false,
      "ignore-case": false,
      "general-numeric-sort": false,
      "human-numeric-sort": false,
      "ignore-nonprinting": false,
      "month-sort": false,
      "numeric-sort": false,
      reverse: false,
      stable: false,
      unique: false,
      "version-sort": false,
      "zero-terminated": false,
      key: true,
      "field-separator": true,
    },
  },
  // Programs that only print.
  date: {
    flags: "uR",
    valued: "",
    long: { utc: false, universal: false, "rfc-email": false, "iso-8601": "maybe", "rfc-3339": true },
    words: [0, 1, /^\+/],
    old: /^-I(?:date|hours|minutes|seconds|ns)?$/,
  },
  ls: {
    flags: "1aAcCdFghiklmnopqrRsStuUvxX",
    long: {
      all: false,
      "almost-all": false,
      "human-readable": false,
      recursive: false,
      reverse: false,
      size: false,
      color: "maybe",
    },
  },
  pwd: { flags: "LP" },
  uname: { flags: "asnrvmpio", long: { all: false } },
  whoami: { flags: "" },
};

/**
 * True when the program, called like this, is safe by its table. A program without a table is safe without
 * arguments: the operator listed it.
 */
export function isSafeCall(name: string, args: readonly string[]): boolean {
  // It prints its arguments, whatever they are. --help is not one of its options, only words.
  if (name === "echo") return true;
  const table = Object.hasOwn(tables, name) ? tables[name] : undefined;
  return table ? fits(args, table) : args.length === 0;
}

function fits(args: readonly string[], table: OptionTable): boolean {
  const left = [...args];
  const words: string[] = [];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === "--") words.push(...left.splice(0));
    else if (table.old?.test(arg)) continue;
    else if (!arg.startsWith("-") || arg === "-") words.push(arg);
    else {
      const taken = arg.startsWith("--") ? longOption(arg, table) : shortOptions(arg, table);
      if (taken === undefined || taken > left.length) return false;
      left.splice(0, taken);
    }
  }
  const [fewest, most, form = /^/] = table.words ?? [0, 0];
  return words.length >= fewest && words.length <= most && words.every((word) => form.test(word));
}

/** How many words after this one are its value; undefined when the option is not listed. */
function longOption(arg: string, { long = {} }: OptionTable): number | undefined {
  const equals = arg.indexOf("=");
  const name = arg.slice(2, equals < 0 ? undefined : equals);
  const takes = Object.hasOwn(long, name) ? long[name] : undefined;
  if (takes === undefined || (takes === false && equals >= 0)) return undefined;
  return takes === true && equals < 0 ? 1 : 0;
}

function shortOptions(arg: string, { flags, valued = "" }: OptionTable): number | undefined {
  for (let at = 1; at < arg.length; at += 1) {
    const letter = arg.charAt(at);
    if (valued.includes(letter)) return at + 1 < arg.length ? 0 : 1;
    if (!flags.includes(letter)) return undefined;
  }
  return 0;
}
