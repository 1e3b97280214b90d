/**
 * A command line as this house understands it: simple commands in pipelines, one after another. It is this tree that
 * is judged, shown and run, so what runs cannot differ from what was judged, whatever a shell would have made of the
 * text.
 */

/** One word. `text` is what it says without its quotes. */
export interface Word {
  readonly text: string;
  /** There when the word has unquoted *, ? or []: a file pattern in which a backslash makes a character literal. */
  readonly pattern?: string;
}

export interface Assignment {
  readonly name: string;
  readonly value: string;
}

/** Descriptors are 0, 1 or 2. Redirections hold in the order in which they are written. */
export type Redirection =
  | {
      readonly kind: "file";
      readonly descriptor: number;
      readonly access: "read" | "write" | "append";
      readonly path: string;
    }
  /** A here-document or here-string. */
  | { readonly kind: "text"; readonly descriptor: number; readonly text: string }
  /** `2>&1`: descriptor 2 becomes what 1 is now. */
  | { readonly kind: "copy"; readonly descriptor: number; readonly from: number };

export interface SimpleCommand {
  readonly assignments: readonly Assignment[];
  /** Empty when the command only assigns or opens files. */
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
}

export interface Step {
  /** Whether it runs: "success" and "failure" are about the step that ran last before it. */
  readonly when: "always" | "success" | "failure";
  /** `!` before it. */
  readonly negated: boolean;
  /** A pipeline. Never empty. */
  readonly commands: readonly SimpleCommand[];
}

/** Never empty. */
export type CommandLine = readonly Step[];

export type ReadLine =
  | { readonly understood: true; readonly line: CommandLine }
  /** `why` is a clause that completes "It has ...": "a command substitution ($(...))". */
  | { readonly understood: false; readonly why: string };

/** Reads a command line. Pure; never throws. */
export type ReadCommandLine = (text: string) => ReadLine;

/** What stood at a path when it was looked at. Numbers as text: an inode number can be larger than a safe integer. */
export interface FileIdentity {
  /** Absolute, as it was asked for. */
  readonly path: string;
  /** Links followed. */
  readonly realPath: string;
  readonly device: string;
  readonly inode: string;
  /** When it was made: the number of a file that is gone is given to the next one. "0" where nobody keeps it. */
  readonly bornAtNs?: string;
  /** Absent for folders, whose content changes all the time. */
  readonly content?: { readonly size: string; readonly changedAtNs: string; readonly sha256?: string };
}

/** How a permitted command runs on the host. */
export type HostRun =
  | {
      readonly kind: "tree";
      readonly line: CommandLine;
      /** Programs and scripts that were judged: when one is another by now, nothing is started. */
      readonly files: readonly FileIdentity[];
      /** The folder that it starts in, when an answer is bound to it. */
      readonly folder?: FileIdentity;
    }
  /** A shell interprets the text: only with a person's answer to exactly this text, or where all is allowed. */
  | { readonly kind: "shell"; readonly folder?: FileIdentity };

/** How a permitted command runs: on the host, or by a shell inside the sandbox of this name and nowhere else. */
export type CommandRun = HostRun | { readonly kind: "sandbox"; readonly sandboxId: string };

/** The argument list of a line that is one program with literal arguments and nothing else; undefined for others. */
export function literalArgv(line: CommandLine): readonly [string, ...string[]] | undefined {
  const commands = line.flatMap((step) => step.commands);
  const [command] = commands;
  if (command === undefined || commands.length > 1 || line.some((step) => step.negated)) return undefined;
  if (command.assignments.length > 0 || command.redirections.length > 0) return undefined;
  return literalWords(command);
}

/** The words of a command that has no file pattern among them. */
export function literalWords(command: SimpleCommand): readonly [string, ...string[]] | undefined {
  const [program, ...args] = command.words;
  if (program === undefined || command.words.some((word) => word.pattern !== undefined)) return undefined;
  return [program.text, ...args.map((word) => word.text)];
}
