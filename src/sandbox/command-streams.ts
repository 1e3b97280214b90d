import { closeSync } from "node:fs";
import { Socket } from "node:net";
import type { PipeEnds, Pipes } from "./pipes.ts";

/** The pipes between a line and the gateway. */
export interface LineStreams {
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /** What its processes get. They stay open for the next process until {@link closeChildren}. */
  readonly children: { readonly stdin: number; readonly stdout: number; readonly stderr: number };
  /** No further process starts; the outputs end once the last one that has them is gone. */
  closeChildren(): void;
  /** Nothing was started. */
  abandon(): void;
}

export async function openStreams(pipes: Pipes): Promise<LineStreams> {
  const [input, output, errors] = await openThree(pipes);
  const stdin = new Socket({ fd: input.write, readable: false, writable: true });
  const stdout = new Socket({ fd: output.read, readable: true, writable: false });
  const stderr = new Socket({ fd: errors.read, readable: true, writable: false });
  const closeChildren = () => {
    for (const descriptor of [input.read, output.write, errors.write]) closeSync(descriptor);
  };
  return {
    stdin,
    stdout,
    stderr,
    children: { stdin: input.read, stdout: output.write, stderr: errors.write },
    closeChildren,
    abandon() {
      closeChildren();
      for (const stream of [stdin, stdout, stderr]) stream.destroy();
    },
  };
}

/** Three, or none: too many open files must not cost more of them. */
async function openThree(pipes: Pipes): Promise<[PipeEnds, PipeEnds, PipeEnds]> {
  const opened: PipeEnds[] = [];
  const next = async () => {
    const ends = await pipes.open();
    opened.push(ends);
    return ends;
  };
  try {
    return [await next(), await next(), await next()];
  } catch (error) {
    for (const { read, write } of opened) for (const descriptor of [read, write]) closeSync(descriptor);
    throw error;
  }
}
