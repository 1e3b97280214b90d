/**
 * The same line, run by us and by real shells, each in a folder of its own in which every program is a stand-in that
 * writes down how it was called.
 */
import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { systemRandom } from "../../src/kernel/mod.ts";
import { placesOf } from "../../src/policy/command-places.ts";
import type { CommandLine } from "../../src/policy/command-tree.ts";
import { openStreams } from "../../src/sandbox/command-streams.ts";
import { environmentProblem } from "../../src/sandbox/environment.ts";
import { runLine } from "../../src/sandbox/line-run.ts";
import { createPipes } from "../../src/sandbox/pipes.ts";
import { type HostWorkspace, openWorkspace } from "../../src/sandbox/workspace.ts";
import { readCommandLine } from "../../src/shell/mod.ts";

export interface Result {
  readonly stdout: string;
  /** As a shell counts: 128 and more for a signal. */
  readonly code: number;
  /** One entry for each call of a stand-in, sorted: its name and arguments, its folder, its variables. */
  readonly calls: readonly string[];
  /** Every file of the folder with its content. */
  readonly files: readonly string[];
}

/** What a decision names, or why it is not ours to run. */
export function judged(text: string): CommandLine | string {
  const read = readCommandLine(text);
  if (!read.understood) return read.why;
  const set = read.line.flatMap(({ commands }) => commands.flatMap(({ assignments }) => assignments));
  const problem = environmentProblem(Object.fromEntries(set.map(({ name, value }) => [name, value])));
  if (problem !== undefined) return problem;
  const places = placesOf(read.line, ".", "/no-such-root");
  return "why" in places ? places.why : read.line;
}

/** Answers to its name: alpha prints its arguments, beta its input, gamma ends with its argument, delta complains. */
const standIn = (base: string) => `#!/bin/sh
cd -P . && at=$PWD
name=\${0##*/}
record=$name
for word in "$@"; do record="$record\x1f$word"; done
record="$record\x1e\${at#${base}/ws}\x1e\${V1-unset}\x1e\${V2-unset}"
printf '%s\\035\\n' "$record" >> ${base}/calls
case $name in
  alpha) for word in "$@"; do printf '<%s>' "$word"; done; echo ;;
  beta) while IFS= read -r line; do printf '[%s]\\n' "$line"; done ;;
  gamma) exit "$1" ;;
  delta) echo "delta: $#" >&2; exit 1 ;;
esac
`;

/** A folder for one shell. */
class Place {
  readonly base: string;
  readonly ws: string;
  readonly bin: string;
  readonly #seed: string;
  #fresh: readonly string[] | undefined;
  #isFresh = false;

  constructor(parent: string, name: string) {
    this.base = join(parent, name);
    this.ws = join(this.base, "ws");
    this.bin = join(this.base, "bin");
    this.#seed = join(this.base, "seed");
    for (const folder of [this.base, this.bin, this.#seed, join(this.#seed, "dir")]) mkdirSync(folder);
    for (const file of ["x.txt", "a.txt", "b.txt", ".hidden", "1", "dir/a.txt", "dir/]x", "b1"])
      writeFileSync(join(this.#seed, file), `in ${file}\n`);
    for (const program of ["alpha", "beta", "gamma", "delta"]) {
      writeFileSync(join(this.bin, program), standIn(this.base));
      chmodSync(join(this.bin, program), 0o755);
    }
    for (const program of ["echo", "printf", "true", "false", "test", "[", "pwd", "cat"])
      symlinkSync(realpathSync(`/usr/bin/${program}`), join(this.bin, program));
    cpSync(join(this.bin, "alpha"), join(this.#seed, "alpha"));
    mkdirSync(this.ws);
    this.reset();
  }

  /** As it was at first; what a line did not touch is left alone. */
  reset(): void {
    if (this.#isFresh) return;
    // The folder itself stays: it is held open.
    for (const name of readdirSync(this.ws)) rmSync(join(this.ws, name), { recursive: true });
    cpSync(this.#seed, this.ws, { recursive: true });
    writeFileSync(join(this.base, "calls"), "");
    this.#fresh ??= this.look().files;
    this.#isFresh = true;
  }

  look(): Pick<Result, "calls" | "files"> {
    const calls = readFileSync(join(this.base, "calls"), "utf8").split("\x1d\n").filter(Boolean).sort();
    const files = readdirSync(this.ws, { recursive: true, encoding: "utf8" })
      .sort()
      .map((name) => {
        const path = join(this.ws, name);
        return name !== "alpha" && statSync(path).isFile()
          ? `${name}: ${relative(readFileSync(path, "utf8"), this)}`
          : name;
      });
    if (calls.length > 0) writeFileSync(join(this.base, "calls"), "");
    this.#isFresh =
      isDeepStrictEqual(files, this.#fresh) &&
      readFileSync(join(this.ws, "alpha"), "utf8") === standIn(this.base);
    return { calls, files };
  }
}

/** Each shell words its own complaints; that it complains is in the exit code. */
function withoutComplaints(text: string): string {
  return text
    .split("\n")
    .filter(
      (line) =>
        !/^(?:bash|sh|dash|cat|\/bin\/\w+|[\w./]*bin\/\w+|test|printf|\[)?:? ?.*(?:: command not found|: not found|No such file|Is a directory|is a folder|is not a program|There is no f|integer|expected|invalid number|extra argument|missing|unary|too many|operand|ambiguous|Permission|Not a directory|not a real folder|argument|overwrite|Broken pipe|write error)/.test(
          line,
        ),
    )
    .join("\n");
}

export class Shells {
  readonly #ours: Place;
  readonly #theirs: Place;
  readonly #parent: string;
  readonly #workspace: HostWorkspace;
  readonly #pipes;

  private constructor(parent: string, ours: Place, theirs: Place, workspace: HostWorkspace) {
    this.#parent = parent;
    this.#ours = ours;
    this.#theirs = theirs;
    this.#workspace = workspace;
    this.#pipes = createPipes(join(parent, "pipes"), ["/usr/bin", "/bin"]);
  }

  static async open(): Promise<Shells> {
    const parent = realpathSync(mkdtempSync(join(tmpdir(), "fuzz-")));
    const ours = new Place(parent, "ours");
    const theirs = new Place(parent, "theirs");
    return new Shells(parent, ours, theirs, await openWorkspace(ours.ws, { random: systemRandom }));
  }

  async runOurs(line: CommandLine): Promise<Result> {
    const place = this.#ours;
    place.reset();
    const streams = await openStreams(this.#pipes);
    streams.stdin.on("error", () => {}).end();
    const output: Buffer[] = [];
    streams.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    streams.stderr.resume();
    const closed = Promise.all(
      [streams.stdout, streams.stderr].map(
        (stream) => new Promise((resolve) => stream.once("close", resolve)),
      ),
    );
    const run = runLine({
      line,
      files: [],
      env: { PATH: `${place.bin}:/usr/bin:/bin`, LC_ALL: "C.UTF-8" },
      searchFolders: [place.bin],
      pipes: this.#pipes,
      folder: await this.#workspace.openFolder("."),
      streams: streams.children,
      environmentProblem,
    });
    const { code, signal } = await run.done;
    streams.closeChildren();
    await closed;
    const stdout = Buffer.concat(output).toString();
    return {
      stdout: relative(stdout, place),
      code: code ?? (signal === "SIGPIPE" ? 141 : 143),
      ...place.look(),
    };
  }

  async runTheirs(shell: "bash" | "dash", text: string): Promise<Result> {
    const place = this.#theirs;
    place.reset();
    const args = shell === "bash" ? ["--norc", "--noprofile", "-c", "--", text] : ["-c", "--", text];
    const child = spawn(`/bin/${shell}`, args, {
      cwd: place.ws,
      env: { PATH: `${place.bin}`, LC_ALL: "C.UTF-8", HOME: place.ws },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const output: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    const code = await new Promise<number>((resolve) => {
      child.once("close", (exit, signal) => resolve(exit ?? (signal === "SIGPIPE" ? 141 : 143)));
    });
    return { stdout: relative(Buffer.concat(output).toString(), place), code, ...place.look() };
  }

  async close(): Promise<void> {
    await this.#workspace.close();
    this.#pipes.close();
    rmSync(this.#parent, { recursive: true, force: true });
  }
}

function relative(text: string, place: Place): string {
  return withoutComplaints(text.replaceAll(place.base, ""));
}
