import { readFile } from "node:fs/promises";
import type { OutboundFile } from "../../delivery/channel.ts";
import { InputError } from "../../kernel/mod.ts";
import { type HttpCalls, HttpFault } from "../http-calls.ts";
import { isGone } from "./places.ts";
import type { Rest } from "./rest.ts";
import { isSnowflake, type WireMessage } from "./wire.ts";

const fetchDeadlineMs = 120_000;
/** Where Discord keeps attachments; what another host serves is not fetched, whoever says so. */
const fileHosts: ReadonlySet<string> = new Set(["cdn.discordapp.com", "media.discordapp.net"]);

export interface FilePorts {
  readonly rest: Rest;
  readonly http: HttpCalls;
  /** The platform's file host where it is not Discord's own (a host with its port, in plain http too). */
  readonly nearbyHost?: string;
}

/** The content of an attachment, from `reference` as the message was handed in with. Rejects with an InputError. */
export async function fetchFile(
  reference: string,
  maxBytes: number,
  signal: AbortSignal,
  ports: FilePorts,
): Promise<Buffer> {
  const [channelId, messageId, fileId] = reference.split("/");
  if (!isSnowflake(channelId) || !isSnowflake(messageId) || !isSnowflake(fileId)) {
    throw new InputError("the file's reference is not one of Discord's");
  }
  const file = await lookUp(channelId, messageId, fileId, signal, ports.rest);
  if (file.size !== undefined && file.size > maxBytes) throw tooLarge(maxBytes);
  const url = fileUrl(file.url, ports.nearbyHost);
  if (url === undefined) throw new InputError("Discord names a place for this file that is not its own");
  try {
    const call = { method: "GET", deadlineMs: fetchDeadlineMs, signal, maxBytes } as const;
    const answer = await ports.http(url, call);
    if (answer.status !== 200) throw new InputError(`Discord does not give the file (HTTP ${answer.status})`);
    return answer.body;
  } catch (error) {
    if (error instanceof HttpFault && error.code === "ANSWER_TOO_LARGE") throw tooLarge(maxBytes);
    if (error instanceof HttpFault) throw new InputError(`Discord's file host gave ${error.message}`);
    throw error;
  }
}

async function lookUp(
  channelId: string,
  messageId: string,
  fileId: string,
  signal: AbortSignal,
  rest: Rest,
): Promise<{ readonly url?: string; readonly size?: number }> {
  let message: WireMessage | undefined;
  try {
    const path = `/channels/${channelId}/messages/${messageId}`;
    message = (await rest.call({ method: "GET", path, signal })) as WireMessage | undefined;
  } catch (error) {
    const why = isGone(error)
      ? "the message that it came with is gone"
      : "Discord cannot be asked for it now";
    throw new InputError(`the file cannot be fetched: ${why}`);
  }
  const file = message?.attachments?.find((item) => item.id === fileId);
  if (!file) throw new InputError("the file was removed from its message");
  return file;
}

function fileUrl(text: string | undefined, nearbyHost: string | undefined): string | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return undefined;
  if (nearbyHost !== undefined && url.host === nearbyHost) return url.href;
  return url.protocol === "https:" && url.port === "" && fileHosts.has(url.hostname) ? url.href : undefined;
}

function tooLarge(maxBytes: number): InputError {
  return new InputError(`the file is larger than ${maxBytes} bytes; send a smaller one`);
}

/** A message's JSON and its file as one body. `boundary` stands in neither. */
export async function formOf(
  json: unknown,
  file: OutboundFile,
  boundary: string,
): Promise<{ readonly type: string; readonly body: Buffer }> {
  const part = (header: string) => `--${boundary}\r\nContent-Disposition: form-data; ${header}\r\n`;
  const type = /^[\w.+-]+\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream";
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([
      Buffer.from(
        `${part('name="payload_json"')}Content-Type: application/json\r\n\r\n${JSON.stringify(json)}\r\n` +
          `${part(`name="files[0]"; filename="${fileName(file.name)}"`)}Content-Type: ${type}\r\n\r\n`,
      ),
      await readFile(file.path),
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
  };
}

/** A name that cannot end its own header. */
export function fileName(text: string): string {
  const clean = text.replace(/[^\p{L}\p{N}._ -]/gu, "_").slice(0, 100);
  return /[\p{L}\p{N}]/u.test(clean) ? clean : "file";
}
