import { InputError } from "../kernel/mod.ts";
import type { CommandLine, FileIdentity } from "../policy/command-tree.ts";
import { requireSame, requireSameFolder } from "./file-identity.ts";
import type { LineDeps } from "./line-run.ts";
import { resolveProgram } from "./program.ts";
import type { ProvenSandbox } from "./sandbox-host.ts";
import { terminalArguments } from "./terminal.ts";
import type { PermittedCommand } from "./tool.ts";
import type { OpenedFolder } from "./workspace.ts";

/** What a permitted command comes to. */
type PermittedLine = Pick<LineDeps, "line" | "files" | "terminal">;

/** The tree that runs, and the files that must be what they were. */
export async function hostLine(
  { command, run, pty }: PermittedCommand,
  folder: OpenedFolder,
  searchFolders: readonly string[],
): Promise<PermittedLine> {
  if (run.kind === "sandbox") throw new InputError("This session has no sandbox. Nothing was started.");
  if (run.folder) requireSameFolder(folder.path, run.folder);
  const line = run.kind === "shell" ? shellLine(command) : run.line;
  const files = run.kind === "shell" ? [] : run.files;
  const through = pty ? { terminal: await terminalFor(line, files, searchFolders) } : {};
  if (run.kind === "shell") return { line, files, ...through };
  const program = onlyProgram(line);
  if (program !== undefined && (await resolveProgram(program, searchFolders, folder.path)) === undefined)
    throw new InputError(
      `There is no program ${JSON.stringify(program)} here. Check the name, or use its full path.`,
    );
  requireSame(files);
  return { line, files, ...through };
}

async function terminalFor(
  line: CommandLine,
  files: readonly FileIdentity[],
  searchFolders: readonly string[],
): Promise<NonNullable<LineDeps["terminal"]>> {
  if (onlyProgram(line) === undefined)
    throw new InputError("A terminal (pty) holds one program. Leave out cd, pipes and &&: use workdir.");
  const python = await resolveProgram("python3", searchFolders, "/");
  if (python === undefined)
    throw new InputError("A terminal (pty) needs python3 on this machine. Install it, or leave pty out.");
  return (file, argv) => ({ file: python, args: terminalArguments(file, argv, files) });
}

/** A shell that gets the text as it stands, and nothing else. */
function shellLine(text: string): CommandLine {
  return plainLine(["sh", "-c", "--", text]);
}

function plainLine(argv: readonly string[]): CommandLine {
  const words = argv.map((word) => ({ text: word }));
  return [{ when: "always", negated: false, commands: [{ assignments: [], words, redirections: [] }] }];
}

/** The line that starts the sandbox around the text. */
export function insideLine(
  sandbox: ProvenSandbox,
  request: PermittedCommand,
  { text, workdir }: { readonly text: string; readonly workdir: string },
): PermittedLine {
  requirePlace(sandbox, request);
  if (sandbox.entrance.kind !== "process") throw new Error("a sandbox of an engine has no line");
  return { line: plainLine(sandbox.entrance.argv(text, workdir)), files: [] };
}

/** Only a run that was permitted for this very sandbox. */
export function requirePlace(sandbox: ProvenSandbox, { run }: PermittedCommand): void {
  if (run.kind !== "sandbox" || run.sandboxId !== sandbox.id)
    throw new InputError(
      "The command was permitted for another place than this sandbox. Nothing was started.",
    );
}

/** The program of a line that is nothing but one command: whether it exists can be told before anything starts. */
function onlyProgram(line: CommandLine): string | undefined {
  const [step, ...more] = line;
  const [command, ...piped] = step?.commands ?? [];
  const name = command?.words[0]?.text;
  return more.length + piped.length > 0 || /^(?:cd|export|exit|:)$/.test(name ?? "") ? undefined : name;
}
