import { readlinkSync } from "node:fs";
import type { Duplex } from "node:stream";
import { type Clock, InputError } from "../kernel/mod.ts";
import type { ContainerEngine } from "./container-engine.ts";
import { splitStreams } from "./container-streams.ts";
import { forwarderArgv } from "./egress-forwarder.ts";
import type { CommandStreams } from "./running-command.ts";
import type { InsideCommand } from "./sandbox-host.ts";

/**
 * A shell that was started in a container before anybody had a command for it, so that a command does not wait for
 * the engine. It reads one line and does what that says; the rest of its input is the command's.
 */
export interface WaitingShell {
  readonly execId: string;
  readonly streams: CommandStreams;
  /** False once its stream has closed. */
  isOpen(): boolean;
  /** Becomes this command. */
  run(command: InsideCommand): void;
  /** Sends a signal to all that runs as its user in the container but itself. Rejects when it says nothing. */
  signalAll(signal: "TERM" | "KILL"): Promise<void>;
  /** To what carries this mark in its environment. */
  signalMarked(signal: "TERM" | "KILL", mark: string): Promise<void>;
  close(): void;
}

/**
 * On Linux the shell's own kill spares the shell itself, and whoever belongs to another user. Where the processes are
 * not the container's own, which no proof has ruled out yet, it would end those of the host: then it ends itself.
 */
const script = (hostProcesses: string) => `
nl='
'
own=$(readlink /proc/self/ns/pid)
everybody() {
  case "$own" in ${quoted(hostProcesses)}|"") exit 1;; esac
  kill "-$1" -1
}
marked() {
  for file in $(grep -ls "OPENCLAW_RUN=$2" /proc/[0-9]*/environ 2>/dev/null); do
    file=\${file#/proc/}; kill "-$1" "\${file%/environ}" 2>/dev/null
  done
}
while IFS= read -r line; do eval "$line"; done
`;

const answerMs = 3000;
/** MAX_ARG_STRLEN of Linux is 128 KiB. */
const maxTextBytes = 120_000;

export async function openShell(deps: {
  readonly engine: ContainerEngine;
  readonly clock: Clock;
  readonly containerId: string;
  readonly user: string;
  readonly forwards: boolean;
}): Promise<WaitingShell> {
  const { engine, clock } = deps;
  const created = (await engine.call("POST", `/containers/${deps.containerId}/exec`, {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    User: deps.user,
    WorkingDir: "/",
    Cmd: ["/bin/sh", "-c", script(readlinkSync("/proc/self/ns/pid"))],
  })) as { readonly Id: string };
  const socket = await engine.open(`/exec/${created.Id}/start`, { Detach: false, Tty: false });
  let isOpen = true;
  socket.once("close", () => {
    isOpen = false;
  });
  const streams = splitStreams(socket);
  return {
    execId: created.Id,
    streams,
    isOpen: () => isOpen,
    run: (command) => void socket.write(`${commandLine(command, deps.forwards)}\n`),
    signalAll: (signal) => ask(socket, streams, `everybody ${signal}`, clock),
    signalMarked: (signal, mark) => ask(socket, streams, `marked ${signal} ${quoted(mark)}`, clock),
    close: () => socket.destroy(),
  };
}

/** Resolves once the shell has done it. */
function ask(socket: Duplex, { stdout }: CommandStreams, line: string, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      cancel();
      socket.off("close", lost);
      stdout.off("readable", look);
      if (error) reject(error);
      else resolve();
    };
    const look = () => {
      if (stdout.read() !== null) settle();
    };
    const lost = () => settle(new Error("the sandbox's shell has ended"));
    const cancel = clock.after(answerMs, () => settle(new Error("the sandbox's shell does not answer")));
    socket.once("close", lost);
    stdout.on("readable", look);
    socket.write(`${line} 2>/dev/null; echo done\n`);
  });
}

/**
 * What the shell does for a command: it runs in a shell of its own, and what it leaves behind is ended, so that its
 * output ends too.
 */
function commandLine({ text, workdir, env, mark }: InsideCommand, forwards: boolean): string {
  if (Buffer.byteLength(text) > maxTextBytes)
    throw new InputError(
      `The command is longer than ${maxTextBytes / 1000} kB. Write it to a file, and run that.`,
    );
  if (text.includes("\0"))
    throw new InputError("The command holds a NUL character, which no shell can read.");
  // The image's own PATH knows where its programs are.
  const exports = Object.entries(env)
    .filter(([name]) => name !== "PATH")
    .map(([name, value]) => `export ${name}=${quoted(value)};`);
  const folder = quoted(workdir === "" ? "/workspace" : `/workspace/${workdir}`);
  // One is enough for all: the next ends at once, for its port is taken.
  const forwarder = forwarderArgv("perl").map(quoted).join(" ");
  return [
    ...(forwards ? [`${forwarder} true </dev/null >/dev/null 2>&1;`] : []),
    `cd ${folder} || exit 126;`,
    `( ${exports.join(" ")} exec /bin/sh -c ${quoted(text)} sh ) ; code=$?;`,
    // Whoever looks for them needs a process for that. Where there is none left, this shell ends, and all with it.
    `trap 'everybody KILL; exit $code' EXIT; marked KILL ${quoted(mark)}; trap - EXIT; exit $code`,
  ].join(" ");
}

/** One word on one line, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''").replaceAll("\n", `'"$nl"'`)}'`;
}
