import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "../kernel/mod.ts";
import type { ContainerEngine } from "./container-engine.ts";

const base = "ca-certificates curl file git less procps unzip xz-utils".split(" ");
/** What an image has beside that, as Debian's packages. */
const images: Readonly<Record<string, readonly string[]>> = {
  minimal: [],
  node: ["nodejs", "npm"],
  python: ["python3", "python3-pip", "python3-venv"],
  go: ["golang-go"],
  rust: ["cargo", "rustc"],
  bun: [],
};

/** Nobody's on Debian: as whom commands run where the gateway is root. */
const userId = 65_532;

export const imageNames = Object.keys(images);

/**
 * Makes a root with debootstrap and gives it to the engine as `openclaw-sandbox:<name>`. The only things that are
 * fetched are Debian's signed packages, and bun by npm. Rejects with an InputError that says what is missing.
 */
export async function makeSandboxImage(deps: {
  readonly engine: ContainerEngine;
  readonly name: string;
  readonly suite: string;
  /** Of Debian's packages; absent: debootstrap's own. */
  readonly mirror?: string;
  /** As `process.arch` names it. */
  readonly architecture: string;
  /** Of the programs that do it: nothing but where they are and how the network is reached. */
  readonly env: Readonly<Record<string, string>>;
  readonly say: (text: string) => void;
}): Promise<string> {
  const { engine, name, env, say } = deps;
  const packages = Object.hasOwn(images, name) ? images[name] : undefined;
  if (!packages)
    throw new InputError(`there is no image ${JSON.stringify(name)}; there are: ${imageNames.join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "sandbox-image-"));
  const root = join(folder, "root");
  try {
    mkdirSync(root);
    say(`Fetching Debian ${deps.suite} with ${[...base, ...packages].join(", ")} ...\n`);
    const include = `--include=${[...base, ...packages].join(",")}`;
    const mirror = deps.mirror === undefined ? [] : [deps.mirror];
    await run("debootstrap", ["--variant=minbase", include, deps.suite, root, ...mirror], env);
    if (name === "bun") await addBun(folder, root, deps.architecture, env);
    finish(root);
    const image = `openclaw-sandbox:${name}`;
    say(`Giving ${image} to the engine ...\n`);
    const tar = start("tar", ["-C", root, "--numeric-owner", "-c", "."], env);
    if (!tar.stdout) throw new Error("tar has no output");
    await Promise.all([
      engine.call("POST", `/images/create?fromSrc=-&repo=${image}`, tar.stdout),
      ended("tar", tar),
    ]);
    return image;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function finish(root: string): void {
  appendFileSync(join(root, "etc/passwd"), `sandbox:x:${userId}:${userId}::/workspace:/bin/sh\n`);
  appendFileSync(join(root, "etc/group"), `sandbox:x:${userId}:\n`);
  for (const path of ["workspace", "agent"]) mkdirSync(join(root, path), { recursive: true });
  // An engine gives memory that is mounted there the rights that these have.
  for (const path of ["tmp", "var/tmp", "run"]) chmodSync(join(root, path), 0o1777);
  for (const path of ["var/cache/apt/archives", "var/lib/apt/lists", "var/log"])
    for (const entry of readdirSync(join(root, path)))
      rmSync(join(root, path, entry), { recursive: true, force: true });
}

async function addBun(
  folder: string,
  root: string,
  architecture: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const name = architecture === "arm64" ? "@oven/bun-linux-aarch64" : "@oven/bun-linux-x64";
  await run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder, name], {
    ...env,
    HOME: folder,
  });
  const archive = readdirSync(folder).find((file) => file.endsWith(".tgz"));
  if (archive === undefined) throw new InputError(`npm gave no ${name}`);
  const target = join(root, "usr/local/bin");
  await run(
    "tar",
    ["-xzf", join(folder, archive), "-C", target, "--strip-components=2", "package/bin/bun"],
    env,
  );
  chmodSync(join(target, "bun"), 0o755);
}

function start(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  return spawn(program, args, { env, cwd: "/", shell: false, stdio: ["ignore", "pipe", "pipe"] });
}

async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const child = start(program, args, env);
  child.stdout?.resume();
  await ended(program, child);
}

function ended(program: string, child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let errors = "";
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      errors = (errors + piece).slice(-2000);
    });
    child.once("error", (error) =>
      reject(
        new InputError(
          `${program} could not be started (${error.message}). Install it: apt install ${program}`,
        ),
      ),
    );
    child.once("close", (code) =>
      code === 0
        ? resolve()
        : reject(new InputError(`${program} ended with ${code}: ${errors.trim().split("\n").at(-1) ?? ""}`)),
    );
  });
}
