import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A folder for PATH with a `tailscale` in it that knows what it is told. */
export interface FakeTailnet {
  readonly path: string;
  tell(state: Readonly<Record<string, unknown>>): Promise<void>;
  state(): Promise<Readonly<Record<string, unknown>>>;
  /** The arguments of every call. */
  calls(): Promise<string[]>;
  /** The names of all variables that it ever saw. */
  environment(): Promise<string>;
}

export async function fakeTailnet(t: TestContext): Promise<FakeTailnet> {
  const folder = await mkdtemp(join(tmpdir(), "tailscale-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const real = join(folder, "lib");
  await mkdir(real);
  await copyFile(join(import.meta.dirname, "tailscale.mjs"), join(real, "tailscale.mjs"));
  await chmod(join(real, "tailscale.mjs"), 0o755);
  await symlink(join(real, "tailscale.mjs"), join(folder, "tailscale"));
  await symlink(process.execPath, join(folder, "node"));
  const file = join(real, "state.json");
  await writeFile(file, "{}");
  const textOf = (name: string) => readFile(join(real, name), "utf8").catch(() => "");
  return {
    path: folder,
    tell: (state) => writeFile(file, JSON.stringify(state)),
    state: async () => JSON.parse(await readFile(file, "utf8")),
    calls: async () => (await textOf("calls.log")).trim().split("\n"),
    environment: () => textOf("environment.log"),
  };
}
