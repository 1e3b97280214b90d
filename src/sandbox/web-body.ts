import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { constants, createBrotliDecompress, createUnzip } from "node:zlib";
import { InputError } from "../kernel/mod.ts";

/** Compressed data may be a little longer than what it holds; much longer is padding without end. */
const rawSlackBytes = 64 * 1024;

/**
 * The decoded body, at most `maxBytes` of it. The limit counts what comes out of the decompressor, chunk by chunk, so
 * a bomb costs no more memory than its limit. The connection is closed when this returns.
 */
export async function readBody(
  response: IncomingMessage,
  maxBytes: number,
  signal: AbortSignal,
): Promise<{ readonly body: Buffer; readonly truncated: boolean }> {
  const decoder = decoderFor(response);
  const decoded: Readable = decoder ? response.pipe(decoder) : response;
  const abort = () => response.destroy(new Error("aborted"));
  signal.addEventListener("abort", abort, { once: true });
  const chunks: Buffer[] = [];
  let length = 0;
  let rawLength = 0;
  let truncated = false;
  if (decoder) {
    // An answer that breaks off ends the decoder too, instead of leaving it waiting.
    response.on("error", (error) => decoder.destroy(error));
    response.on("aborted", () => decoder.destroy(new Error("the connection was closed early")));
    response.on("data", (chunk: Buffer) => {
      rawLength += chunk.length;
      if (rawLength <= maxBytes + rawSlackBytes || truncated) return;
      // Blocks that hold nothing decode to nothing: no decoded byte would ever stop them.
      truncated = true;
      response.unpipe(decoder);
      decoder.end();
    });
  }
  try {
    for await (const chunk of decoded as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= maxBytes) continue;
      truncated = true;
      break;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    decoded.destroy();
    response.destroy();
  }
  return { body: Buffer.concat(chunks, Math.min(length, maxBytes)), truncated };
}

function decoderFor(response: IncomingMessage) {
  const coding = (response.headers["content-encoding"] ?? "").trim().toLowerCase();
  switch (coding) {
    case "":
    case "identity":
      return undefined;
    case "gzip":
    case "x-gzip":
    case "deflate":
      return createUnzip({ finishFlush: constants.Z_SYNC_FLUSH });
    case "br":
      return createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH });
    default:
      throw new InputError(
        `The page is encoded as ${JSON.stringify(coding.slice(0, 40))}, which is not understood.`,
      );
  }
}
