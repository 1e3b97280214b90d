import { existsSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import type { Clock } from "../kernel/mod.ts";

export interface SandboxMaker {
  readonly kind: "docker" | "podman" | "bubblewrap";
  /** Undefined: it can make sandboxes here, as far as can be told without making one. */
  readonly problem?: string;
}

/** What could make sandboxes on this machine, in the order in which it is chosen. Proved is nothing by that. */
export async function surveySandboxes(ports: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** `sandbox.docker.image`; undefined: the usual one. */
  readonly image?: string | undefined;
}): Promise<readonly SandboxMaker[]> {
  const { connectEngine, defaultImage, engineProblem, findSocket } = await import("../sandbox/mod.ts");
  const { env, clock } = ports;
  const places = { env, uid: userInfo().uid, home: env.HOME ?? homedir() };
  const engines = (["docker", "podman"] as const).map(async (kind): Promise<SandboxMaker> => {
    const found = findSocket(kind, places);
    if (typeof found === "string") return { kind, problem: found };
    const engine = connectEngine({ clock, socketPath: found.socketPath });
    const problem = await engineProblem(engine, ports.image ?? defaultImage);
    engine.close();
    return { kind, ...(problem === undefined ? {} : { problem }) };
  });
  const hasPrograms = ["/usr/bin/bwrap", "/usr/bin/prlimit"].every((program) => existsSync(program));
  const missing = { problem: "bubblewrap is not installed (apt install bubblewrap)." };
  return [...(await Promise.all(engines)), { kind: "bubblewrap", ...(hasPrograms ? {} : missing) }];
}

/** "Docker containers", ...; undefined: nothing can. */
export function usedMaker(makers: readonly SandboxMaker[]): string | undefined {
  const used = makers.find(({ problem }) => problem === undefined);
  return used && { docker: "Docker", podman: "Podman", bubblewrap: "bubblewrap" }[used.kind];
}
