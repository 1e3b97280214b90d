/**
 * Makes package-lock.json anew from package.json, then completes it: packages for other platforms that the registry
 * in use does not carry are left out by npm, and `npm ci` would refuse such a lock everywhere. They are named with
 * their version and platform, and no checksum.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Entry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly cpu?: readonly string[];
  readonly os?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const systems = [
  "android",
  "darwin",
  "freebsd",
  "netbsd",
  "openbsd",
  "openharmony",
  "win32",
  "linux",
  "sunos",
  "aix",
];
const processors = ["arm64", "x64", "ia32", "riscv64", "s390x", "ppc64", "loong64", "mips64el", "arm"];

const root = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "lock-"));
copyFileSync(join(root, "package.json"), join(folder, "package.json"));
const made = spawnSync("npm", ["install", "--package-lock-only", "--ignore-scripts"], {
  cwd: folder,
  stdio: "inherit",
});
if (made.status !== 0) process.exit(1);

const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as {
  packages: Record<string, Entry>;
};
for (const [key, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    if (lock.packages[`${key}/node_modules/${name}`] || lock.packages[`node_modules/${name}`]) continue;
    const words = name.split(/[-/]/);
    const os = systems.filter((word) => words.includes(word));
    const cpu = processors.filter((word) => words.includes(word));
    lock.packages[`node_modules/${name}`] = {
      version: range.replace(/^[\^~]/, ""),
      ...(cpu.length > 0 ? { cpu } : {}),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      ...(os.length > 0 ? { os } : {}),
    };
    console.log(`completed ${name} ${range}`);
  }
}
const { "": own, ...others } = lock.packages;
const sorted = Object.fromEntries(Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1)));
lock.packages = { ...(own ? { "": own } : {}), ...sorted };
writeFileSync(join(root, "package-lock.json"), `${JSON.stringify(lock, null, 2)}\n`);
rmSync(folder, { recursive: true });
