import { type Duplex, PassThrough, Writable } from "node:stream";
import type { CommandStreams } from "./running-command.ts";

const headerBytes = 8;

/**
 * Takes apart the stream of an attached command: frames of [1 = stdout | 2 = stderr, 0, 0, 0, length as 32 bits,
 * big endian] and so many bytes. Whoever does not read holds up the command, not the gateway.
 * Source: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
 */
export function splitStreams(socket: Duplex): CommandStreams {
  const outputs = { 1: new PassThrough(), 2: new PassThrough() };
  let head = Buffer.alloc(0);
  let left = 0;
  let target: PassThrough = outputs[1];

  function take(chunk: Buffer): boolean {
    let isReady = true;
    let rest = chunk;
    while (rest.length > 0) {
      if (left === 0) {
        const missing = headerBytes - head.length;
        head = Buffer.concat([head, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (head.length < headerBytes) break;
        target = head[0] === 2 ? outputs[2] : outputs[1];
        left = head.readUInt32BE(4);
        head = Buffer.alloc(0);
        continue;
      }
      const piece = rest.subarray(0, left);
      rest = rest.subarray(piece.length);
      left -= piece.length;
      isReady = target.write(piece) && isReady;
    }
    return isReady;
  }

  socket.on("data", (chunk: Buffer) => {
    if (take(chunk)) return;
    socket.pause();
    for (const output of [outputs[1], outputs[2]])
      output.once("drain", () => {
        if (!outputs[1].writableNeedDrain && !outputs[2].writableNeedDrain) socket.resume();
      });
  });
  socket.once("close", () => {
    outputs[1].end();
    outputs[2].end();
  });
  // Whoever closes the outputs wants no more of it.
  for (const output of [outputs[1], outputs[2]])
    output.once("close", () => {
      if (outputs[1].destroyed && outputs[2].destroyed) socket.destroy();
    });
  const stdin = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (socket.writable) socket.write(chunk, done);
      else done(new Error("the command's input is closed"));
    },
    final: (done) => {
      socket.end();
      done();
    },
  });
  // Input that is thrown away is closed like any other.
  stdin.once("close", () => socket.end());
  return { stdin, stdout: outputs[1], stderr: outputs[2] };
}
