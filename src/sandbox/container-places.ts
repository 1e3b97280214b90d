import { chmodSync, chownSync, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import type { ContainerBind, ContainerSettings } from "./container-settings.ts";
import type { SandboxSpec } from "./sandbox-host.ts";
import { type HiddenPlaces, homesOf, isWithin, placeProblem } from "./sandbox-place.ts";

/** No part of these is ever bound, nor anything that holds one of them (attacks ). */
const deniedFolders = [
  ..."/etc /private/etc /proc /sys /dev /root /boot /run /var/run /private/var/run /usr /bin /sbin /lib".split(
    " ",
  ),
  ..."/lib32 /lib64 /libx32 /var/lib/docker /var/lib/containers /var/lib/containerd".split(" "),
];
const deniedInHome = ".aws .cargo .config .docker .gnupg .kube .local .netrc .npm .ssh".split(" ");

/** Why these folders may not be shown to a container; as written and as they really are. */
export function containerPlaceProblem(
  spec: SandboxSpec,
  settings: ContainerSettings,
  places: HiddenPlaces & { readonly engineSocket: string },
): string | undefined {
  const own = placeProblem([spec.workspace, spec.agentWorkspace], places);
  if (own !== undefined) return own;
  const roots = [spec.workspace, ...(spec.agentWorkspace === undefined ? [] : [spec.agentWorkspace])];
  for (const bind of settings.binds) {
    const problem = bindProblem(bind, places, settings.mayBindOutside ? undefined : roots);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function bindProblem(
  { source }: ContainerBind,
  places: HiddenPlaces & { readonly engineSocket: string },
  roots: readonly string[] | undefined,
): string | undefined {
  const shown = `sandbox.docker.binds: ${source}`;
  let real: string;
  let state: string;
  try {
    real = realpathSync.native(source);
    state = realpathSync.native(places.stateDir);
  } catch {
    // An engine would make it, as root.
    return `${shown} cannot be opened. Make it first.`;
  }
  if (!statSync(real).isDirectory()) return `${shown} is no folder.`;
  if (real !== source) return `${shown} is reached through a link. Name it as it is: ${real}.`;
  const homes = places.homes.filter((home) => home !== "/" && existsSync(home));
  const denied = [
    ...deniedFolders,
    ...deniedFolders.filter((path) => existsSync(path)).map((path) => realpathSync.native(path)),
    ...homes.flatMap((home) => deniedInHome.map((name) => join(home, name))),
    places.engineSocket,
  ];
  const inside = denied.find((folder) => isWithin(real, folder));
  if (inside !== undefined) return `${shown} is in ${inside}, which no sandbox may see.`;
  const holds = [...denied, state, ...homesOf(places), "/"].find((folder) => isWithin(folder, real));
  if (holds !== undefined) return `${shown} holds ${holds}, which no sandbox may see.`;
  if (isWithin(real, state) && !roots?.some((root) => isWithin(real, root)))
    return `${shown} is in the gateway's state folder, which no sandbox may see.`;
  if (roots && !roots.some((root) => isWithin(real, root)))
    return `${shown} is outside of the agent's workspace. Set sandbox.docker.dangerouslyAllowExternalBindSources: true if that is meant.`;
  return undefined;
}

/** Nobody's in an image of ours, and on hosts. */
const nobody = "65532:65532";

/**
 * As whom the commands run, so that they can write to the workspace and are not root: whom the config says; else
 * whom the workspace belongs to. A folder of the sandbox's own is given to them where the gateway is root.
 */
export function commandUser(
  spec: Pick<SandboxSpec, "workspace" | "ownsWorkspace">,
  asked: string | undefined,
  gatewayUid: number,
): { readonly user: string } | { readonly problem: string } {
  const { uid: owner, gid } = statSync(spec.workspace);
  const user = asked ?? (owner === 0 ? nobody : `${owner}:${gid === 0 ? owner : gid}`);
  const [uid] = numbersOf(user);
  if (owner === uid || (gatewayUid === 0 && spec.ownsWorkspace)) return { user };
  return {
    problem: `The workspace ${spec.workspace} belongs to user ${owner}, and a container's commands would run as ${uid}. Give it to them (chown -R ${user} ${spec.workspace}), or set sandbox.docker.user, or sandbox.backend: "bubblewrap".`,
  };
}

/** Makes what the commands write to, and what they are shown of the proxy, theirs. Only root can, and only root has to. */
export function giveToCommands(spec: SandboxSpec, user: string, gatewayUid: number): void {
  if (gatewayUid !== 0) return;
  const [uid, gid] = numbersOf(user);
  if (spec.ownsWorkspace && statSync(spec.workspace).uid !== uid) chownSync(spec.workspace, uid, gid);
  if (!spec.egress) return;
  chownSync(spec.egress.socketFile, uid, gid);
  // Certificates are public; the folders above let nobody else on the host see them.
  chmodSync(spec.egress.rootsFile, 0o644);
}

function numbersOf(user: string): readonly [uid: number, gid: number] {
  const [uid = 0, gid = 0] = user.split(":").map(Number);
  return [uid, gid];
}

/** The JSON of a profile that refuses what it does not list. Throws what is wrong with it, as a sentence. */
export function readSeccompProfile(path: string): string {
  let profile: { defaultAction?: unknown };
  const text = readFileSync(path, "utf8");
  try {
    profile = JSON.parse(text) as { defaultAction?: unknown };
  } catch {
    throw new Error(`sandbox.docker.seccompProfile: ${path} is no JSON.`);
  }
  if (!/^SCMP_ACT_(?:ERRNO|KILL|KILL_THREAD|KILL_PROCESS|TRAP)$/.test(String(profile?.defaultAction)))
    throw new Error(
      `sandbox.docker.seccompProfile: ${posix.basename(path)} allows what it does not list (defaultAction must be SCMP_ACT_ERRNO).`,
    );
  return text;
}
