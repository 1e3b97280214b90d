import { readFile } from "node:fs/promises";
import { type Api, InputFile } from "grammy";
import type { Message } from "grammy/types";
import type { Attachment, OutboundFile, OutboundMessage, SendResult } from "../../delivery/channel.ts";
import { InputError } from "../../kernel/mod.ts";
import { type ApiFailure, ApiFault, type BotApi, type CallOptions, failureText } from "./bot-api.ts";

/** What the Bot API lets a bot fetch and send; photos may be smaller only. */
const maxFetchBytes = 20 * 1_048_576;
export const maxFileBytes = 50 * 1_048_576;
const maxPhotoBytes = 10 * 1_048_576;
export const maxCaptionChars = 1024;

const fetchDeadlineMs = 60_000;
const sendDeadlineMs = 120_000;

type File = {
  readonly file_id: string;
  readonly file_size?: number;
  readonly file_name?: string;
  readonly mime_type?: string;
};

/** The files of a message. A photo comes in several sizes, of which the largest is taken. */
export function attachmentsOf(message: Message, isForwarded: boolean): Attachment[] {
  const photo = message.photo?.at(-1);
  const found: readonly (readonly [Attachment["kind"], File | undefined])[] = [
    ["image", photo],
    ["image", message.sticker],
    ["video", message.video],
    ["video", message.video_note],
    ["audio", message.voice],
    ["audio", message.audio],
    // An animation is told of as a document too.
    message.animation ? ["video", message.animation] : ["file", message.document],
  ];
  return found.flatMap(([kind, file]) =>
    file
      ? [
          {
            kind,
            reference: file.file_id,
            ...(file.mime_type === undefined ? {} : { claimedType: file.mime_type }),
            ...(file.file_name === undefined ? {} : { claimedName: file.file_name }),
            ...(file.file_size === undefined ? {} : { claimedBytes: file.file_size }),
            ...(isForwarded ? { isForwarded } : {}),
          },
        ]
      : [],
  );
}

/** The content of a file; rejects with an InputError. Nothing but the API root is asked for it. */
export async function fetchFile(
  api: BotApi,
  reference: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  if (!/^[\w-]{1,512}$/.test(reference))
    throw new InputError("the file's reference is not one of Telegram's");
  const limit = Math.min(maxBytes, maxFetchBytes);
  const options: CallOptions = { deadlineMs: fetchDeadlineMs, signal };
  try {
    const { file_path, file_size } = await api.call("getFile", options, (bot, abort) =>
      bot.getFile(reference, abort),
    );
    if (file_size !== undefined && file_size > limit) throw tooLarge(limit);
    if (!isFilePath(file_path))
      throw new InputError("Telegram names a place for this file that is not its own");
    return await api.download(file_path, limit, options);
  } catch (error) {
    if (!(error instanceof ApiFault)) throw error;
    const { failure } = error;
    const isLarge =
      failure.kind === "answer"
        ? /file is too big/i.test(failure.description)
        : failure.code === "ANSWER_TOO_LARGE";
    if (isLarge) throw tooLarge(limit);
    throw new InputError(`Telegram does not give the file: ${failureText(failure)}`);
  }
}

/** As Telegram writes them ("photos/file_7.jpg"); a Bot API server of one's own may name a place on its disk. */
function isFilePath(path: string | undefined): path is string {
  return path !== undefined && /^[\w-]+(?:[./][\w-]+)*$/.test(path) && path.length <= 300;
}

function tooLarge(limit: number): InputError {
  return new InputError(`the file is larger than ${limit} bytes`);
}

const methods = {
  photo: "sendPhoto",
  animation: "sendAnimation",
  video: "sendVideo",
  audio: "sendAudio",
  voice: "sendVoice",
  document: "sendDocument",
} as const;

/** How a type is shown; what no row names is a document. */
const forms: Readonly<Record<string, keyof typeof methods>> = {
  "image/png": "photo",
  "image/jpeg": "photo",
  "image/webp": "photo",
  "image/gif": "animation",
  "video/mp4": "video",
  "audio/mpeg": "audio",
  "audio/mp4": "audio",
  "audio/ogg": "voice",
};

type Other = NonNullable<Parameters<Api["sendDocument"]>[2]>;

/** Sends the message's file with its text as the caption. A picture that Telegram cannot show goes as a document. */
export async function sendFile(
  api: BotApi,
  message: OutboundMessage,
  file: OutboundFile,
  other: Other,
  resultOf: (error: unknown) => SendResult,
): Promise<SendResult> {
  const content = await readFile(file.path).catch(() => undefined);
  if (!content) return { outcome: "rejected", detail: "the file that was to be sent is gone" };
  const form: keyof typeof methods =
    file.type.startsWith("image/") && content.length > maxPhotoBytes
      ? "document"
      : (forms[file.type] ?? "document");
  const post = async (as: keyof typeof methods): Promise<SendResult> => {
    const sent = await api.call<Message>(methods[as], { deadlineMs: sendDeadlineMs }, (bot, signal) => {
      const input = new InputFile(content, fileName(file.name));
      const { id } = message.conversation;
      switch (as) {
        case "photo":
          return bot.sendPhoto(id, input, other, signal);
        case "animation":
          return bot.sendAnimation(id, input, other, signal);
        case "video":
          return bot.sendVideo(id, input, other, signal);
        case "audio":
          return bot.sendAudio(id, input, other, signal);
        case "voice":
          return bot.sendVoice(id, input, other, signal);
        default:
          return bot.sendDocument(id, input, other, signal);
      }
    });
    return { outcome: "sent", platformId: String(sent.message_id) };
  };
  try {
    return await post(form);
  } catch (error) {
    if (form === "document" || !isAboutContent(error)) return resultOf(error);
  }
  try {
    return await post("document");
  } catch (error) {
    return resultOf(error);
  }
}

/** Surely refused because of what the file is: too wide for a photo, a codec that voice messages do not have. */
function isAboutContent(error: unknown): boolean {
  if (!(error instanceof ApiFault)) return false;
  const failure: ApiFailure = error.failure;
  return (
    failure.kind === "answer" &&
    failure.code === 400 &&
    /PHOTO_|IMAGE_PROCESS|wrong file|VOICE_|VIDEO_|wrong type/i.test(failure.description)
  );
}

/** A name that cannot end its own header. */
function fileName(text: string): string {
  const clean = text.replace(/[^\p{L}\p{N}._ -]/gu, "_").slice(0, 100);
  return /[\p{L}\p{N}]/u.test(clean) ? clean : "file";
}
