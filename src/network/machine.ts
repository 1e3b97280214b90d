import { existsSync, readFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import type { Machine } from "./binding.ts";

/** The machine as it is right now. `root` is where the file system begins; tests give another. */
export function readMachine(root = "/"): Machine {
  return {
    addresses: Object.values(networkInterfaces())
      .flat()
      .filter((item) => item?.family === "IPv4")
      .map((item) => String(item?.address)),
    inContainer: isContainer(root),
    hostName: hostname(),
  };
}

/** Docker and Podman leave a file; others show in what the first process belongs to. */
function isContainer(root: string): boolean {
  if (existsSync(`${root}.dockerenv`) || existsSync(`${root}run/.containerenv`)) return true;
  try {
    return /\b(?:docker|kubepods|containerd|libpod|lxc)\b/.test(readFileSync(`${root}proc/1/cgroup`, "utf8"));
  } catch {
    return false;
  }
}
