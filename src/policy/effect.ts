import { posix } from "node:path";
import type { Json } from "../kernel/mod.ts";
import type { CommandRun } from "./command-tree.ts";

/**
 * What a tool call would do, said by the tool from its arguments before anything runs. Policy judges effects, not
 * tools; a call whose effect is not listed here cannot be permitted.
 */
export type Effect =
  | { readonly kind: "file.read"; readonly path: string }
  | {
      readonly kind: "file.write";
      readonly path: string;
      /** Not the path itself, but new files anywhere below it. */
      readonly below?: true;
    }
  | { readonly kind: "file.delete"; readonly path: string }
  | {
      readonly kind: "command";
      /** The command line as the model wrote it. */
      readonly command: string;
      /** Relative to the workspace; "." is the workspace itself. */
      readonly workdir: string;
      readonly env: Readonly<Record<string, string>>;
      readonly background: boolean;
      /** In a terminal. */
      readonly pty?: true;
      /** Where the call asked to run; absent: wherever the session runs. */
      readonly host?: "sandbox" | "gateway";
      /** Asked to leave the sandbox that its session runs in. */
      readonly elevated?: true;
      /** Asked to be asked about more often than the config says. */
      readonly ask?: "on-miss" | "always";
      /** How it runs: policy's addition to what the tool said. A command without it cannot be started. */
      readonly run?: CommandRun;
    }
  /** Reading from, typing into or ending a command that this session started before. */
  | {
      readonly kind: "process";
      readonly action: string;
      readonly processId?: string;
      /** What would be typed into it. */
      readonly input?: string;
    }
  | { readonly kind: "fetch"; readonly url: string }
  /** A command on a paired node, as the node prepared it. */
  | {
      readonly kind: "node.command";
      readonly nodeId: string;
      /** The argv as a shell would be told it, or the script of its shell. */
      readonly command: string;
      /** Absolute, on the node. */
      readonly cwd: string;
      readonly env: Readonly<Record<string, string>>;
    };

/** What the record holds of effects: where they go, never what they carry. `redact` takes secrets out of commands and URLs. */
export function effectFacts(effects: readonly Effect[], redact: (text: string) => string): Json {
  return effects.map((effect) => {
    switch (effect.kind) {
      case "command":
        return {
          kind: effect.kind,
          command: redact(effect.command),
          workdir: effect.workdir,
          background: effect.background,
          ...(effect.elevated ? { elevated: true } : {}),
        };
      case "fetch":
        return { kind: effect.kind, url: redact(effect.url) };
      case "node.command":
        return {
          kind: effect.kind,
          nodeId: effect.nodeId,
          command: redact(effect.command),
          cwd: effect.cwd,
        };
      case "process":
        return { kind: effect.kind, action: effect.action };
      case "file.write":
        return { kind: effect.kind, path: effect.path, ...(effect.below ? { below: true } : {}) };
      default:
        return { kind: effect.kind, path: effect.path };
    }
  });
}

/** A path as labels of files are kept under: without "./", "//" and the like. */
export function plainPath(path: string): string {
  return posix.normalize(path).replace(/^\.\//, "");
}
