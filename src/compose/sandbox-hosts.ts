import { realpathSync } from "node:fs";
import { arch, homedir, userInfo } from "node:os";
import type { Clock, Log, Random } from "../kernel/mod.ts";
import type { ContainerHost, EngineKind, EnginePlaces, SandboxHost, SandboxSpec } from "../sandbox/mod.ts";
import { bubblewrapProblem, type SandboxPlace } from "./sandbox-place.ts";

/** What makes the sandboxes of a gateway, loaded when the first one is needed. */
export interface SandboxHosts {
  /** What makes this one, and what more its spec says; or why nothing does, as a sentence. */
  choose(place: SandboxPlace): Promise<ChosenHost | string>;
  /** Those that were used so far. */
  used(): readonly SandboxHost[];
  /** Removes what an earlier gateway left: of bubblewrap, and soon after of each engine that is there. */
  sweepAll(): Promise<void>;
  close(): void;
}

export interface ChosenHost {
  readonly host: SandboxHost;
  readonly more: Pick<SandboxSpec, "container">;
  /** Why those that come first were passed over. */
  readonly passedOver: readonly string[];
}

const engineKinds: readonly EngineKind[] = ["docker", "podman"];

export function createSandboxHosts(ports: {
  readonly stateFolder: string;
  readonly findProgram: (name: string) => string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Where engines are looked for; absent: nowhere. */
  readonly engines?: EnginePlaces;
}): SandboxHosts {
  let bubblewrap: Promise<SandboxHost> | undefined;
  let opened: SandboxHost | undefined;
  const engines = new Map<string, ContainerHost>();
  const load = () => import("../sandbox/mod.ts");
  const base = () => ({
    ...ports,
    stateDir: realpathSync(ports.stateFolder),
    homes: [userInfo().homedir, homedir()],
    architecture: arch(),
  });

  function loadBubblewrap(): Promise<SandboxHost> {
    bubblewrap ??= load().then(({ createBubblewrap }) => {
      opened = createBubblewrap(base());
      return opened;
    });
    // A state folder that cannot be opened now may be there the next time.
    bubblewrap.catch(() => {
      bubblewrap = undefined;
    });
    return bubblewrap;
  }

  async function engineOf(kind: EngineKind): Promise<ContainerHost | string> {
    const { engines: places } = ports;
    if (!places) return `No engine is looked for here.`;
    const { findSocket, connectEngine, createContainerHost } = await load();
    const found = findSocket(kind, places);
    if (typeof found === "string") return found;
    const key = `${kind} ${found.socketPath}`;
    let host = engines.get(key);
    if (!host) {
      const engine = connectEngine({ clock: ports.clock, socketPath: found.socketPath });
      host = createContainerHost({ ...base(), engine, kind, uid: places.uid });
      engines.set(key, host);
    }
    return host;
  }

  async function container(
    kind: EngineKind,
    place: SandboxPlace,
    isAsked: boolean,
  ): Promise<ChosenHost | { readonly problem: string; readonly isFinal: boolean }> {
    const host = await engineOf(kind);
    if (typeof host === "string") return { problem: host, isFinal: false };
    const { containerSettings, defaultImage } = await load();
    const { docker, workspace, ownsWorkspace } = place;
    const owner = { workspace: realpathSync(workspace), ownsWorkspace, user: docker.user };
    const problem = await host.problem(docker.image ?? defaultImage, isAsked ? undefined : owner);
    if (problem !== undefined) return { problem, isFinal: false };
    const settings = containerSettings(docker, place.maxMemoryBytes, place.agentWorkspace ?? workspace);
    // A setting that takes a promise away is refused; it does not lead to another kind of sandbox.
    if (typeof settings === "string") return { problem: settings, isFinal: true };
    return { host, more: { container: settings }, passedOver: [] };
  }

  return {
    async choose(place) {
      const passedOver: string[] = [];
      const asked = engineKinds.filter((kind) => kind === place.backend);
      for (const kind of place.backend === undefined ? engineKinds : asked) {
        const chosen = await container(kind, place, place.backend !== undefined);
        if ("host" in chosen) return { ...chosen, passedOver };
        if (chosen.isFinal || place.backend !== undefined) return chosen.problem;
        passedOver.push(`${kind}: ${chosen.problem}`);
      }
      const problem = bubblewrapProblem(place);
      if (problem !== undefined) return [problem, ...passedOver].join(" ");
      return { host: await loadBubblewrap(), more: {}, passedOver };
    },
    used: () => [...engines.values(), ...(opened ? [opened] : [])],
    async sweepAll() {
      const untidy = (kind: string) => (error: Error) =>
        ports.log("warn", "sandboxes were not tidied up", { kind, error: error.message });
      // An engine may take its time. What it still has, nobody uses.
      for (const kind of engineKinds)
        void engineOf(kind)
          .then((host) => (typeof host === "string" ? undefined : host.sweep()))
          .catch(untidy(kind));
      await loadBubblewrap()
        .then((host) => host.sweep())
        .catch(untidy("bubblewrap"));
    },
    close() {
      for (const host of engines.values()) host.close();
    },
  };
}
