/** Everyday tasks: what the model calls for each, what must be there afterwards, and what the gateway makes of it. */
export type Call = readonly [tool: string, args: Readonly<Record<string, unknown>>];

/** How many approvals a task needs; or the reason of the refusal (policy.tool_denied), or "no result", and why in words. */
export type Outcome = number | string;

/** What a task left behind. */
export interface Result {
  /** The text of a file; "" when it is not there. */
  file(path: string): string;
  has(path: string): boolean;
  /** What the model read of its calls, together. */
  readonly said: string;
}

export interface Task {
  readonly name: string;
  /** Files that lie in the workspace before. */
  readonly files?: Readonly<Record<string, string>>;
  /** Commands that prepare the folder, run by the test itself. */
  readonly prepare?: readonly (readonly string[])[];
  /** What a model calls, one after another; `site` is a host on loopback that the operator allowed. */
  readonly calls: (site: string) => readonly Call[];
  /** True when the result is there. */
  readonly isDone: (result: Result) => boolean;
  /** In the main conversation, on the host. */
  readonly host: Outcome;
  /** In another conversation, in its sandbox, once its agent may enter it. */
  readonly sandbox: Outcome;
  /** Programs without which the task is left out. */
  readonly needs?: readonly string[];
  /** Too slow for the quick run. */
  readonly slow?: true;
}

export const exec = (command: string, more: Readonly<Record<string, unknown>> = {}): Call => [
  "exec",
  { command, ...more },
];
export const read = (path: string): Call => ["read", { path }];
export const write = (path: string, content: string): Call => ["write", { path, content }];
export const edit = (path: string, oldText: string, newText: string): Call => [
  "edit",
  { path, edits: [{ oldText, newText }] },
];
