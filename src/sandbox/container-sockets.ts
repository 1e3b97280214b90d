import { lstatSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";

export type EngineKind = "docker" | "podman";

export interface EngineSocket {
  readonly kind: EngineKind;
  /** Links followed. */
  readonly socketPath: string;
}

export interface EnginePlaces {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the gateway. */
  readonly uid: number;
  readonly home: string;
}

/**
 * Where this kind of engine is looked for, in this order: what the environment names, the gateway's user's own, the
 * machine's. An engine over the network is never used: nothing on the way to it would be proved.
 */
function candidates(kind: EngineKind, { env, uid, home }: EnginePlaces): readonly string[] {
  const named = kind === "docker" ? env.DOCKER_HOST : env.CONTAINER_HOST;
  if (named !== undefined && named !== "") return [named.startsWith("unix://") ? named.slice(7) : ""];
  const runtime = env.XDG_RUNTIME_DIR ?? `/run/user/${uid}`;
  return kind === "docker"
    ? [join(runtime, "docker.sock"), join(home, ".docker/run/docker.sock"), "/var/run/docker.sock"]
    : [join(runtime, "podman/podman.sock"), "/run/podman/podman.sock"];
}

/** The socket of such an engine, or why there is none. A sentence. */
export function findSocket(kind: EngineKind, places: EnginePlaces): EngineSocket | string {
  const variable = kind === "docker" ? "DOCKER_HOST" : "CONTAINER_HOST";
  for (const path of candidates(kind, places)) {
    if (!path.startsWith("/"))
      return `${variable} is no unix socket. Set it to unix:///path/to/socket: engines over the network are not used.`;
    if (!lstatSync(path, { throwIfNoEntry: false })) continue;
    try {
      const socketPath = realpathSync.native(path);
      const stat = statSync(socketPath);
      if (!stat.isSocket()) return `${path} is no socket.`;
      // Whoever could put another in its place would see every command, and say of a sandbox what they like.
      if (stat.uid !== 0 && stat.uid !== places.uid)
        return `The socket ${path} belongs to another user than root or the gateway's.`;
      if ((stat.mode & 0o002) !== 0)
        return `The socket ${path} may be written by everybody. Take that right away: chmod o-w ${path}`;
      return { kind, socketPath };
    } catch (error) {
      return `The socket ${path} cannot be used (${error instanceof Error ? error.message : error}).`;
    }
  }
  return `No socket of ${kind} was found (${candidates(kind, places).join(", ")}). Start the engine, or set ${variable}=unix:///path/to/socket.`;
}
