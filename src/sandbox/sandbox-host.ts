import type { ContainerSettings } from "./container-settings.ts";
import type { EgressDoor } from "./egress-forwarder.ts";
import type { LineEnd } from "./line-run.ts";
import type { CommandStreams } from "./running-command.ts";

/** What a sandbox shows to its commands, and how much they may use. */
export interface SandboxSpec {
  /** Names its folder, its container and its group of processes: letters, digits, "-". */
  readonly id: string;
  /** Host folder at /workspace, writable. Absolute, links followed. */
  readonly workspace: string;
  /** True: the folder is the sandbox's alone, and may be given to the user that its commands run as. */
  readonly ownsWorkspace?: boolean;
  /** Host folder at /agent, read-only. */
  readonly agentWorkspace?: string;
  readonly maxProcesses: number;
  /** Of all together; without control groups of data in each process. */
  readonly maxMemoryBytes: number;
  /** The way out through a filtering proxy. There is no network either way. */
  readonly egress?: EgressDoor;
  /** What only containers follow. */
  readonly container?: ContainerSettings;
}

/** A command inside a sandbox that an engine holds. */
export interface InsideRun {
  readonly streams: CommandStreams;
  /** When its first process has ended. Never rejects. */
  readonly done: Promise<LineEnd>;
  /** Ends everything that it started: TERM, then KILL. Never rejects. */
  end(graceMs: number): Promise<void>;
}

export interface InsideCommand {
  readonly text: string;
  /** Relative to /workspace. */
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  /** The value of {@link runVariable} in `env`: what it started is found again by it. */
  readonly mark: string;
}

/** How a command gets in: as a process of the host that becomes the sandbox, or through an engine. */
export type SandboxEntrance =
  | { readonly kind: "process"; readonly argv: (text: string, workdir: string) => readonly string[] }
  | { readonly kind: "engine"; readonly start: (command: InsideCommand) => Promise<InsideRun> };

/** Proof that a sandbox keeps its promises on this machine: {@link SandboxHost.prove} alone makes one. */
class ProvenSandbox {
  readonly id: string;
  readonly entrance: SandboxEntrance;
  readonly #isGone: () => boolean;

  private constructor(id: string, entrance: SandboxEntrance, isGone: () => boolean) {
    this.id = id;
    this.entrance = entrance;
    this.#isGone = isGone;
  }

  static of(id: string, entrance: SandboxEntrance, isGone: () => boolean): ProvenSandbox {
    return new ProvenSandbox(id, entrance, isGone);
  }

  /** True: it has ended (its engine stopped, it was removed), and what was proved of it says nothing any more. */
  get isGone(): boolean {
    return this.#isGone();
  }
}

export const provenSandbox = ProvenSandbox.of;
export type { ProvenSandbox };

export type SandboxProof =
  | {
      readonly ok: true;
      readonly sandbox: ProvenSandbox;
      readonly held: readonly string[];
      readonly tookMs: number;
    }
  /** `why` is for the operator: each broken promise, or what is missing. */
  | { readonly ok: false; readonly why: string };

/** A sandbox that is there now. */
export interface SandboxRow {
  /** The id of its spec. */
  readonly id: string;
  /** What the engine calls it. */
  readonly name: string;
  readonly image: string;
  /** Unix ms. */
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
  readonly runningCommands: number;
}

/** What makes sandboxes: bubblewrap, or the engine of containers. */
export interface SandboxHost {
  readonly kind: "bubblewrap" | "docker" | "podman";
  /** Tries every promise from inside. Without a proof there is no sandbox. Never rejects. */
  prove(spec: SandboxSpec): Promise<SandboxProof>;
  /** Those that live between commands; bubblewrap has none. */
  list(): readonly SandboxRow[];
  /** Ends those of these specs, or all, with what runs in them. Gives how many there were. */
  remove(ids?: readonly string[]): Promise<number>;
  /** What was made before is only kept if the config asks for the same again. */
  configChanged(): void;
  /** Ends those that nothing runs in and that are too old, or were not used for too long. */
  prune(limits: PruneLimits): Promise<number>;
  /** Removes what sandboxes of this state folder left, also those of a gateway that was killed. */
  sweep(): Promise<void>;
}

export interface PruneLimits {
  readonly idleMs: number;
  readonly maxAgeMs: number;
}
