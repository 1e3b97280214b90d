import type { ToolSpec } from "../agent/model.ts";
import type { Json, Sensitivity, Trust } from "../kernel/mod.ts";
import type { CommandRun } from "../policy/command-tree.ts";
import type { Effect } from "../policy/effect.ts";
import type { FileVersion } from "./undo-store.ts";

/** A tool: what it is, what a call of it would do, and what runs once policy has permitted that. */
export interface Tool {
  readonly spec: ToolSpec;
  /**
   * What this call would do. Pure: looks at nothing but its arguments, which the schema check already passed.
   * Throws an InputError when they make no sense; the model sees its message.
   */
  plan(args: unknown): readonly Effect[];
  /** Runs a permitted call. Called by the sandbox only. Throws an InputError for what the model can correct. */
  run(args: unknown, powers: Powers): Promise<ToolOutput>;
}

export interface ToolOutput {
  /** What the model reads. */
  readonly text: string;
  readonly isError: boolean;
  /** Shown to a model that reads pictures, beside the text, which must do without them for all others. */
  readonly pictures?: readonly Picture[];
  /** For clients (exit code, url, diff ...); never shown to the model. */
  readonly details?: Json;
  /** Where the text came from, when that is not the tool itself: "https://example.com/", "file:notes.md". */
  readonly origin?: string;
  /** Default: untrusted. */
  readonly trust?: Trust;
  /** Default: private. */
  readonly sensitivity?: Sensitivity;
  /** Files that it wrote beside those that its effects name one by one: they too carry the label of what was read. */
  readonly wrote?: readonly string[];
}

/** Within the limits of the kernel's pictureFacts. */
export interface Picture {
  readonly mimeType: string;
  readonly bytes: Buffer;
}

/** All that a tool may touch. Each is already confined to what the permit names. */
export interface Powers {
  readonly workspace: Workspace;
  readonly commands: Commands;
  readonly web: Web;
  /** Absent: nothing is kept. */
  readonly versions?: FileVersions;
  readonly signal: AbortSignal;
  /** Tells the client what happened so far (whole text, not a delta). */
  progress(text: string): void;
}

/**
 * Files of one agent, by identity: every call resolves the path component by component inside the workspace and
 * acts on the opened descriptor. A path that leaves it (.., symlink, absolute, hard link to a file with other
 * names, device, pipe) is refused with an InputError that names the path.
 */
export interface Workspace {
  /** Absolute path of the root, for messages. */
  readonly root: string;
  /** At most maxBytes; `truncated` tells that there was more. Throws InputError when absent or not a regular file. */
  read(
    path: string,
    maxBytes: number,
  ): Promise<{ readonly bytes: Buffer; readonly truncated: boolean; readonly size: number }>;
  /** Names in a folder, folders with a trailing "/", sorted, at most `limit`. */
  list(path: string, limit: number): Promise<readonly string[]>;
  /** Whole-file write, atomic (temporary file, fsync, rename), 600 for new files; makes missing folders. */
  write(path: string, bytes: Buffer): Promise<{ readonly created: boolean }>;
  remove(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
}

/** What files were before tools changed them. */
export interface FileVersions {
  /** Newest first. */
  of(path: string): readonly FileVersion[];
  /**
   * Puts the file back as it was before its last change, and forgets that one. Throws an InputError when nothing is
   * kept, or when the file is not what that change left.
   */
  restore(path: string): Promise<{ readonly version: FileVersion; readonly left: number }>;
}

/** Commands of one session. They end with their session, and none outlives the gateway unseen. */
export interface Commands {
  /** Starts the permitted command. */
  start(request: CommandRequest): Promise<RunningCommand>;
  /** Commands that this session started and that were not removed. */
  list(): readonly RunningCommand[];
  get(id: string): RunningCommand | undefined;
}

export interface CommandRequest {
  readonly command: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** In a terminal of its own, for a program that asks and draws. */
  readonly pty?: true;
}

/** A command with what policy said about how it runs. */
export interface PermittedCommand extends CommandRequest {
  readonly run: CommandRun;
}

/** Commands as the host starts them. */
export interface HostCommands extends Omit<Commands, "start"> {
  start(request: PermittedCommand): Promise<RunningCommand>;
}

/** How a command ended. */
export interface CommandExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** It was ended because the gateway that ran it stopped, or had crashed. */
  readonly lost?: true;
}

export interface RunningCommand {
  readonly id: string;
  readonly command: string;
  readonly startedAtMs: number;
  /** Undefined while it runs. */
  readonly exit: CommandExit | undefined;
  /** It runs in a terminal: a line end is typed as Enter. */
  readonly hasTerminal: boolean;
  /** Output so far, stdout and stderr as they came, at most the last `maxOutputChars`. */
  output(): { readonly text: string; readonly droppedChars: number };
  /** Output that came since the last poll. */
  poll(): string;
  /**
   * Lines of all output that is kept, which is more than `output` gives; numbered from 1. Without `offset`, the last.
   */
  lines(
    offset: number | undefined,
    limit: number,
  ): Promise<{ readonly first: number; readonly lines: readonly string[]; readonly total: number }>;
  /** Throws an InputError when it takes no more: ended, closed, or not reading what was written before. */
  write(text: string): void;
  /** The same, told to be a paste where the program knows pastes: line ends in it submit nothing. */
  paste(text: string): void;
  closeInput(): void;
  /** Ends the whole process tree: TERM, then KILL. */
  kill(): Promise<void>;
  /** Resolves when it has ended, when `ms` have passed, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  remove(): void;
}

/** The web, with addresses pinned and every hop checked (SSRF). */
export interface Web {
  fetch(request: {
    readonly url: string;
    readonly maxBytes: number;
    readonly timeoutMs: number;
    readonly maxRedirects: number;
    readonly headers: Readonly<Record<string, string>>;
    /** Sent with POST; then no redirect is followed. Absent: GET. */
    readonly json?: Json;
    readonly signal: AbortSignal;
  }): Promise<WebResponse>;
}

export interface WebResponse {
  readonly url: string;
  readonly finalUrl: string;
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly truncated: boolean;
}
