/**
 * The rules of the house, as functions from a file's path and imports to what is wrong with it. Each rule says why
 * it is there; test/architecture/house.test.ts runs them over the tree and over planted violations.
 */

export interface SourceFile {
  /** Relative to the repository, with forward slashes: "src/access/decide.ts". */
  readonly path: string;
  readonly text: string;
}

export interface Rule {
  readonly name: string;
  readonly why: string;
  readonly check: (file: SourceFile) => string[];
}

export interface Import {
  /** As written. */
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** Loaded when that line runs, not with the file. */
  readonly isDynamic?: boolean;
}

const maps = [
  "src/main.ts",
  "src/gateway.ts",
  "src/gateway-submit.ts",
  "src/turn.ts",
  "src/turn-end.ts",
  "src/tool-call.ts",
  "src/chat-commands.ts",
  "src/operator.ts",
  "src/operator-connect.ts",
  "src/serve.ts",
];
const composers = ["src/main.ts", "src/serve.ts"];
/** Where the maps are made: each file may reach the maps that it makes. */
const mapMakers: Readonly<Record<string, readonly string[]>> = {
  "src/main.ts": ["src/serve.ts"],
  "src/compose/message-path.ts": ["src/gateway.ts", "src/turn.ts"],
  "src/compose/operator-path.ts": ["src/operator.ts"],
  "src/gateway.ts": ["src/gateway-submit.ts"],
  "src/operator.ts": ["src/operator-connect.ts"],
};
/** The message path is one map in several files. */
const messagePath = ["src/turn.ts"];

/** Stages in the order of the path; a stage may take types from those before it. */
const stages = [
  "kernel",
  "config",
  "network",
  "delivery",
  "auth",
  "access",
  "session",
  "agent",
  "policy",
  "sandbox",
  "audit",
];
/** Adapters implement ports: they may take types from any stage, and values from the kernel and their own folder. */
const adapters = ["channels", "providers", "tools", "store", "log", "control", "shell"];

/** Folders whose files are wire or settings that others may read directly. */
const openFiles = /\/(?:settings|mod|protocol)\.ts$/;
/** Ports that stand in a stage's own file because the stage's mod.ts would pull its code in. */
const portFiles =
  /src\/(?:agent\/model|delivery\/channel|policy\/effect|policy\/address|policy\/command-tree|sandbox\/tool)\.ts$/;

export const rules: readonly Rule[] = [
  {
    name: "maps are not imported",
    why: "a map knows every stage; a stage that could reach a map could go around the checks before it",
    check: (file) =>
      messagePath.includes(file.path)
        ? []
        : importsOf(file)
            .map((item) => resolvePath(file.path, item.specifier))
            .filter((target) => maps.includes(target) && !mapMakers[file.path]?.includes(target))
            .map((target) => `imports ${target}`),
  },
  {
    name: "values come from the kernel and the own folder",
    why: "a stage that calls another stage's code hides an arrow of the map; the maps make every call visible",
    check: (file) =>
      isStageFile(file)
        ? foreignImports(file)
            .filter((item) => !item.typeOnly && !allowedValue(file, item.target))
            .map((item) => `imports a value from ${item.target}`)
        : [],
  },
  {
    name: "types come from stages before",
    why: "an earlier stage that knows a later one's words starts to decide for it",
    check: (file) => {
      const own = stages.indexOf(folderOf(file.path));
      if (own < 0) return [];
      return foreignImports(file)
        .filter(
          (item) =>
            item.typeOnly &&
            stages.indexOf(folderOf(item.target)) > own &&
            !allowedForward(file.path, item.target),
        )
        .map((item) => `imports types from ${item.target}, a later stage`);
    },
  },
  {
    name: "across folders only mod.ts",
    why: "what mod.ts does not export is the folder's own business, and may change tomorrow",
    check: (file) =>
      file.path.startsWith("src/") && !composers.includes(file.path)
        ? foreignImports(file)
            .filter(
              (item) =>
                item.target.startsWith("src/") &&
                !openFiles.test(item.target) &&
                !portFiles.test(item.target) &&
                !ownCompose(file.path, item.target),
            )
            .map((item) => `imports ${item.target} past its mod.ts`)
        : [],
  },
  {
    name: "commands start in the sandbox",
    why: "child_process anywhere else is a command that no permit named",
    check: power(/^(?:node:)?child_process$/, /^src\/sandbox\//),
  },
  {
    name: "SQL stands in the store",
    why: "a statement elsewhere escapes the commit that belongs together, and the migrations",
    check: power(/^(?:node:)?sqlite$/, /^src\/store\//),
  },
  {
    name: "outgoing sockets have addresses",
    why: "a request from anywhere else could carry data out past policy's judgement of its destination",
    check: (file) => {
      const allowed = /^src\/(?:network|channels|providers|sandbox|cli|compose)\//;
      if (!file.path.startsWith("src/") || allowed.test(file.path) || isTest(file)) return [];
      const found = importsOf(file).filter(
        (item) =>
          !item.typeOnly &&
          /^(?:node:)?(?:net|tls|http|https|http2|dgram|dns)$|^(?:ws|undici)$/.test(item.specifier),
      );
      // node:net gives address arithmetic too; only the parts that open sockets are a power.
      const opens = found.filter(
        (item) => item.specifier !== "node:net" || /\b(?:connect|createConnection|Socket)\b/.test(file.text),
      );
      return [
        ...opens.map((item) => `imports ${item.specifier}`),
        ...(/\bfetch\(\s*["'`]/.test(code(file)) ? ["calls fetch"] : []),
      ];
    },
  },
  {
    name: "engines of containers are asked in one file",
    why: "whoever reaches an engine's socket is root on this machine: one file asks it, of unix sockets alone",
    check: (file) =>
      file.path.startsWith("src/") &&
      file.path !== "src/sandbox/container-engine.ts" &&
      !isTest(file) &&
      importsOf(file).some((item) => !item.typeOnly && /^(?:node:)?(?:http|net)$/.test(item.specifier)) &&
      /\bsocketPath\s*[,:}]/.test(code(file)) &&
      /\b(?:request|connect|createConnection)\(/.test(code(file))
        ? ["asks a socket by its path"]
        : [],
  },
  {
    name: "process is read in main.ts only",
    why: "what reads the environment or the process by itself cannot be simulated, and may leak secrets",
    check: (file) =>
      file.path.startsWith("src/") &&
      file.path !== "src/main.ts" &&
      !isTest(file) &&
      /(?<![\w.$])process\.\w/.test(code(file))
        ? ["reads process.*"]
        : [],
  },
  {
    name: "proofs are made in their own folder",
    why: "whoever could build a Principal, an Admitted or a Permit could skip the check that it proves",
    check: (file) => {
      if (!file.path.startsWith("src/") || isTest(file)) return [];
      const found: string[] = [];
      for (const [proof, folder] of [
        ["Principal", "auth"],
        ["Admitted", "access"],
        ["Permit", "policy"],
      ] as const) {
        if (
          new RegExp(`\\b(?:new ${proof}\\(|${proof}\\.of\\(|make${proof}\\()`).test(code(file)) &&
          folderOf(file.path) !== folder
        )
          found.push(`builds a ${proof}`);
        if (
          /\/mod\.ts$/.test(file.path) &&
          new RegExp(`export \\{[^}]*(?<!type )\\b(?:${proof}|make${proof})\\b[^}]*\\}`).test(code(file)) &&
          !new RegExp(`type ${proof}\\b`).test(code(file))
        )
          found.push(`exports ${proof} as a value`);
      }
      return found;
    },
  },
  {
    name: "no mutable state at module level",
    why: "state that no composer made is shared by gateways that should not know of each other, and survives a test",
    check: (file) => {
      if (!file.path.startsWith("src/") || isTest(file) || file.path === "src/main.ts") return [];
      return [...code(file).matchAll(/^(?:export )?let (\w+)/gm)].map(
        (match) => `declares \`let ${match[1]}\` at module level`,
      );
    },
  },
  {
    name: "names that say nothing",
    why: "a file called utils has no reason to stop growing, and nobody knows what is in it",
    check: (file) =>
      /\/(?:utils?|helpers?|common|manager|types|index|misc)(?:\.ts|\/)/.test(file.path) &&
      file.path.startsWith("src/")
        ? ["has a name that says nothing"]
        : [],
  },
  {
    name: "time and chance are passed in",
    why: "a stage that asks the system for the time cannot run on a simulated clock",
    check: (file) => {
      const system = /^src\/kernel\/(?:clock|random)\.ts$|^src\/(?:main|serve)\.ts$|^src\/cli\//;
      if (!file.path.startsWith("src/") || system.test(file.path) || isTest(file)) return [];
      return [...code(file).matchAll(/\b(Date\.now|Math\.random|setTimeout|setInterval)\(/g)].map(
        (match) => `calls ${match[1]}`,
      );
    },
  },
  {
    name: "every mod.ts states its invariants",
    why: "tests cite them by number; a folder without them promises nothing",
    check: (file) =>
      /^src\/(?!cli|kernel)[^/]+\/mod\.ts$/.test(file.path) && !/^\/\*\*[\s\S]*?\n \* 1\. /.test(file.text)
        ? ["does not open with numbered invariants"]
        : [],
  },
];

/** Imports of a file: static, re-exports and dynamic ones with a literal. */
export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  const text = code(file);
  for (const match of text.matchAll(
    /^(?:import|export)\s+(type\s+)?([^"';]*?)\s*from\s+["']([^"']+)["']/gm,
  )) {
    const names = match[2] ?? "";
    const inlineTypes =
      /^\{[\s\S]*\}$/.test(names.trim()) &&
      names.replace(/[{}\s]/g, "").split(",").length > 0 &&
      names
        .trim()
        .slice(1, -1)
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "")
        .every((name) => name.startsWith("type "));
    found.push({ specifier: match[3] as string, typeOnly: match[1] !== undefined || inlineTypes });
  }
  for (const match of text.matchAll(/^import\s+["']([^"']+)["']/gm))
    found.push({ specifier: match[1] as string, typeOnly: false });
  for (const match of text.matchAll(/(typeof\s+)?import\(\s*["']([^"']+)["']\s*\)/g))
    found.push({ specifier: match[2] as string, typeOnly: match[1] !== undefined, isDynamic: true });
  return found;
}

/** The text without comments, so that a rule is not broken by a sentence about it. */
function code(file: SourceFile): string {
  return file.text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

function power(specifier: RegExp, allowed: RegExp): (file: SourceFile) => string[] {
  return (file) =>
    file.path.startsWith("src/") && !allowed.test(file.path) && !isTest(file)
      ? importsOf(file)
          .filter((item) => !item.typeOnly && specifier.test(item.specifier))
          .map((item) => `imports ${item.specifier}`)
      : [];
}

function isTest(file: SourceFile): boolean {
  return file.path.endsWith(".test.ts");
}

function isStageFile(file: SourceFile): boolean {
  const folder = folderOf(file.path);
  return (stages.includes(folder) || adapters.includes(folder)) && !isTest(file);
}

/** "access" for "src/access/decide.ts"; "" outside src or directly in it. */
function folderOf(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? "";
}

function resolvePath(from: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function foreignImports(file: SourceFile): (Import & { readonly target: string })[] {
  return importsOf(file)
    .filter((item) => item.specifier.startsWith("."))
    .map((item) => ({ ...item, target: resolvePath(file.path, item.specifier) }))
    .filter((item) => folderOf(item.target) !== folderOf(file.path) && !isTest(file));
}

function allowedValue(file: SourceFile, target: string): boolean {
  if (folderOf(target) === "kernel") return true;
  // Composes a config from what each channel can read of it.
  return folderOf(file.path) === "config" && /\/settings\.ts$/.test(target);
}

/** Settings read the config's type, and the control plane's words are everybody's. */
function allowedForward(from: string, target: string): boolean {
  return (
    folderOf(target) === "config" ||
    portFiles.test(target) ||
    (folderOf(from) === "delivery" && folderOf(target) === "kernel")
  );
}

function ownCompose(from: string, target: string): boolean {
  const folder = folderOf(from);
  // The composer takes pieces where they are light, so that starting does not load what is not needed yet.
  return folder === "compose" || (folder === "cli" && /^src\/(?:compose|cli)\//.test(target));
}
