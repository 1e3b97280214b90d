import { InputError, type Secret } from "../../kernel/mod.ts";
import { type HttpAnswer, type HttpCalls, HttpFault } from "../http-calls.ts";
import { ApiFault, type WebApi } from "./web-api.ts";
import { isConversationId, type WireFile } from "./wire.ts";

const fetchDeadlineMs = 120_000;

export interface FilePorts {
  readonly api: WebApi;
  readonly http: HttpCalls;
  readonly token: Secret;
  /** The platform's file host where it is not Slack's own (a host with its port, in plain http too). */
  readonly nearbyHost?: string;
}

/** The content of a file, from `reference` as the message was handed in with. Rejects with an InputError. */
export async function fetchFile(
  reference: string,
  maxBytes: number,
  signal: AbortSignal,
  ports: FilePorts,
): Promise<Buffer> {
  const [channel, id] = reference.split("/");
  if (!isConversationId(channel) || !id || !/^F[A-Z0-9]{2,20}$/.test(id)) {
    throw new InputError("the file's reference is not one of Slack's");
  }
  const file = await lookUp(id, signal, ports.api);
  // The file's id alone proves nothing: it must be shared where the message was (attack A-076).
  if (!isSharedIn(file, channel)) throw new InputError("the file is not shared in this conversation");
  if (file.size !== undefined && file.size > maxBytes) throw tooLarge(maxBytes);
  const url = slackUrl(file.url_private_download ?? file.url_private, ports.nearbyHost);
  if (url === undefined) throw new InputError("Slack names a place for this file that is not its own");
  let answer: HttpAnswer;
  try {
    answer = await ports.http(url, {
      method: "GET",
      headers: { authorization: `Bearer ${ports.token.reveal()}` },
      deadlineMs: fetchDeadlineMs,
      signal,
      maxBytes,
    });
  } catch (error) {
    if (error instanceof HttpFault && error.code === "ANSWER_TOO_LARGE") throw tooLarge(maxBytes);
    throw new InputError("Slack's file host cannot be reached now");
  }
  // Without the right to read files Slack shows a page to sign in at.
  if (answer.status !== 200 || isSignInPage(answer, file)) {
    throw new InputError(
      `Slack does not give the file (HTTP ${answer.status}); the app needs the scope files:read`,
    );
  }
  return answer.body;
}

async function lookUp(id: string, signal: AbortSignal, api: WebApi): Promise<WireFile> {
  try {
    const { file } = await api.call("files.info", { file: id }, { signal });
    return (file ?? {}) as WireFile;
  } catch (error) {
    const why =
      error instanceof ApiFault && error.failure.kind === "answer" ? error.failure.error : "no answer";
    throw new InputError(`the file cannot be fetched: ${why}`);
  }
}

function isSharedIn(file: WireFile, channel: string): boolean {
  const listed = [file.channels, file.groups, file.ims].some((list) => list?.includes(channel));
  return listed || Object.values(file.shares ?? {}).some((places) => Object.hasOwn(places ?? {}, channel));
}

function isSignInPage({ headers }: HttpAnswer, file: WireFile): boolean {
  return /^text\/html/.test(String(headers["content-type"])) && file.mimetype !== "text/html";
}

/** The address, where it is one of Slack's file host's; undefined for every other. */
export function slackUrl(text: unknown, nearbyHost: string | undefined): string | undefined {
  if (typeof text !== "string" || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return undefined;
  if (nearbyHost !== undefined && url.host === nearbyHost) return url.href;
  return url.protocol === "https:" && url.port === "" && url.hostname === "files.slack.com"
    ? url.href
    : undefined;
}

function tooLarge(maxBytes: number): InputError {
  return new InputError(`the file is larger than ${maxBytes} bytes; send a smaller one`);
}
