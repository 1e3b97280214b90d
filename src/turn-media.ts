/**
 * The files of a turn. This file is a map, as turn.ts is: a file that came is fetched, told by its content and laid
 * where the conversation's tools work before the model sees the message; a file that the reply names is read as the agent could read
 * it, and copied away before the reply is written. Each fetch and each read is on record before it happens.
 */
import { createHash } from "node:crypto";
import type { ImagePart, ToolRequest } from "./agent/mod.ts";
import {
  addressed,
  agrees,
  type InboxRow,
  type KeptAttachment,
  mediaKind,
  mediaType,
  type OutboundFile,
  plainName,
  plainType,
  replyParts,
  type StagedFile,
  sizeText,
  withFileLines,
  wordsOf,
} from "./delivery/mod.ts";
import {
  admitted,
  InputError,
  joinSources,
  maxPictureBytes,
  maxPictures,
  maxPicturesBytes,
  pictureFacts,
  reasonText,
  refuse,
  type Source,
  type Verdict,
  type Write,
} from "./kernel/mod.ts";
import { decide, type Permit, type PolicyContext, plainPath } from "./policy/mod.ts";
import type { Delivered, SentFile } from "./session/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { Turn, TurnParts } from "./turn-parts.ts";

/** For all files of one message together. */
const stagingDeadlineMs = 60_000;
const maxMessageBytes = 64 * 1_048_576;
const maxFilesOfAReply = 10;

const foreignSource: Source = {
  author: "forwarded",
  proof: "none",
  trust: "untrusted",
  sensitivity: "public",
};

/** A reply as it goes out: its text, without the lines that name files, and the files. */
export interface ReplyContent {
  readonly text: string;
  /** For the platform that the message came from. */
  readonly files: readonly OutboundFile[];
  /** For the transcript; absent where the reply named no file. */
  readonly delivered?: Delivered;
  /** Ends of what was done, for the commit that stores the reply. */
  readonly writes: readonly Write[];
}

export function createTurnMedia(parts: TurnParts, { recordEffect, recordVerdict }: TurnLog) {
  const { clock, commit, inbox, media } = parts;

  // --- in ------------------------------------------------------------------------------------------------------------

  /**
   * The message with a line for each of its files, which then lie in the workspace. What a stopped gateway had fetched
   * is not fetched again. What cannot be had is said in its line; an aborted run leaves the rest as it is.
   */
  async function takeIn(row: InboxRow, signal: AbortSignal): Promise<InboxRow> {
    const files: KeptAttachment[] = [...(row.attachments ?? [])];
    if (files.length === 0) return row;
    const late = new AbortController();
    const cancel = clock.after(stagingDeadlineMs, () => late.abort());
    let roomBytes = maxMessageBytes - files.reduce((sum, file) => sum + bytesOf(file), 0);
    try {
      for (const [index, file] of files.entries()) {
        if (file.staged || signal.aborted) continue;
        const facts = { file: index };
        await commit([recordEffect("effect.start", "delivery", "media.fetch", row, facts)]);
        const either = AbortSignal.any([signal, late.signal]);
        const staged = await stage(row, index, file, roomBytes, either);
        // Cut off, not failed: it is fetched when the turn is taken up again.
        if (signal.aborted) continue;
        files[index] = { ...file, staged };
        roomBytes -= bytesOf(files[index]);
        await commit(stagedWrites(row, files, index, staged));
      }
    } finally {
      cancel();
    }
    return { ...row, attachments: files, text: withFileLines(row.text, files) };
  }

  async function stage(
    row: InboxRow,
    index: number,
    file: KeptAttachment,
    roomBytes: number,
    signal: AbortSignal,
  ): Promise<StagedFile> {
    const maxBytes = Math.min(media.settings(row.channel, row.account).fileBytes, roomBytes);
    const claimedBytes = file.claimedBytes ?? 0;
    if (signal.aborted) return { problem: "it did not arrive in time" };
    if (claimedBytes > maxBytes) return { problem: tooLarge(claimedBytes, maxBytes) };
    try {
      const bytes = await media.fetch(row, file.reference, maxBytes, signal);
      if (bytes.length > maxBytes) return { problem: tooLarge(bytes.length, maxBytes) };
      const { type, extension } = mediaType(bytes);
      const claimed = plainType(file.claimedType);
      const path = `media/inbound/${row.messageId}-${index}.${extension}`;
      await media.write(row, path, bytes);
      return {
        path,
        kind: mediaKind(type),
        type,
        bytes: bytes.length,
        sha256: sha256(bytes),
        ...(claimed === undefined || agrees(claimed, type) ? {} : { claimedOtherwise: claimed }),
      };
    } catch (error) {
      if (signal.aborted) return { problem: "it did not arrive in time" };
      parts.log("warn", "a file could not be taken in", {
        error: (error as Error).message,
        runId: row.runId,
      });
      return { problem: error instanceof InputError ? oneLine(error.message) : "the gateway failed inside" };
    }
  }

  function stagedWrites(
    row: InboxRow,
    files: readonly KeptAttachment[],
    index: number,
    staged: StagedFile,
  ): Write[] {
    const facts =
      staged.path === undefined
        ? { file: index, problem: parts.redact(staged.problem) }
        : { file: index, path: staged.path, type: staged.type, bytes: staged.bytes, sha256: staged.sha256 };
    const outcome = staged.path === undefined ? "error" : "ok";
    return [
      recordEffect("effect.end", "delivery", "media.fetch", row, facts, outcome),
      inbox.keepAttachments(row.messageId, files),
      ...(staged.path === undefined
        ? []
        : [
            parts.fileSources.put(parts.filesOwner(row), plainPath(staged.path), sourceOf(row, files[index])),
          ]),
    ];
  }

  /** The label of all that the message brought along. */
  function labelOf(row: InboxRow): Source {
    return (row.attachments ?? []).reduce(
      (label, file) => joinSources(label, sourceOf(row, file)),
      row.source,
    );
  }

  /** The pictures among its files, for this turn's call only; one that changed since it came is left out. */
  async function pictures(row: InboxRow): Promise<ImagePart[]> {
    const shown: ImagePart[] = [];
    let roomBytes = maxPicturesBytes;
    for (const { staged } of row.attachments ?? []) {
      if (staged?.path === undefined || shown.length >= maxPictures) continue;
      if (staged.kind !== "image" || staged.bytes > Math.min(maxPictureBytes, roomBytes)) continue;
      const bytes = await media.read(row, staged.path, maxPictureBytes).catch(() => undefined);
      if (bytes === undefined || sha256(bytes) !== staged.sha256) continue;
      const facts = pictureFacts(bytes);
      if (facts === undefined || "problem" in facts) continue;
      shown.push({ type: "image", mimeType: facts.type, base64: bytes.toString("base64") });
      roomBytes -= bytes.length;
    }
    return shown;
  }

  // --- out -----------------------------------------------------------------------------------------------------------

  /** What the agent's reply becomes for whom it is for. A file that may not or cannot go is a sentence at the end. */
  async function sendOut(task: Turn, text: string): Promise<ReplyContent> {
    const found = replyParts(text);
    if (!found.some((part) => "path" in part)) return { text, files: [], writes: [] };
    const attached: Attached[] = [];
    const writes: Write[] = [];
    const problems: string[] = [];
    for (const part of found) {
      if ("text" in part) continue;
      const problem =
        attached.length < maxFilesOfAReply
          ? await attach(task, part.path, attached, writes)
          : `a reply takes at most ${maxFilesOfAReply} files`;
      if (problem !== undefined) problems.push(`[a file was not sent: ${problem}]`);
    }
    const words = wordsOf(found);
    const said = [...(words === "" ? [] : [words]), ...problems].join("\n");
    return {
      text: said,
      files: attached.flatMap(({ outbound }) => outbound ?? []),
      delivered: { text: said, files: attached.map(({ sent }) => sent) },
      writes,
    };
  }

  /** Adds the file, or gives the reason why not. */
  async function attach(
    task: Turn,
    path: string,
    files: Attached[],
    writes: Write[],
  ): Promise<string | undefined> {
    const { row, active, session } = task;
    const { channel, account, reply } = addressed(row);
    const maxBytes = media.sendBytes(channel, account);
    if (maxBytes === undefined) return `${channel} takes no files`;
    const request = {
      id: `media-${files.length}`,
      tool: "read",
      arguments: { path },
      runId: row.runId,
      agentId: row.agentId,
      sessionKey: row.sessionKey,
    };
    const verdict = mayLeave(request, await parts.policyFor(row, "read", task.seen.author));
    if (!admitted(verdict)) {
      const { reason } = verdict;
      await commit([recordVerdict("policy", "refuse", row, { tool: "read", media: true }, reason)]);
      return reasonText(reason);
    }
    await commit([
      recordEffect("effect.start", "delivery", "media.attach", row, { path: path.slice(0, 300) }),
    ]);
    try {
      const bytes = await media.readPermitted(verdict.value, maxBytes, active.abort.signal);
      const { name, extension, ...facts } = leavingFile(path, bytes);
      const { type } = facts;
      const copy = `${row.messageId}-${files.length}`;
      if (reply === undefined) {
        const kept = `${copy}.${extension}`;
        await media.keepShown(session.current.sessionId, kept, bytes);
        files.push({ sent: { name, ...facts, kept } });
      } else {
        const outbound = { path: await media.keep(copy, bytes), name, type, bytes: bytes.length };
        files.push({ sent: { name, ...facts }, outbound });
      }
      writes.push(recordEffect("effect.end", "delivery", "media.attach", row, facts, "ok"));
      return undefined;
    } catch (error) {
      writes.push(recordEffect("effect.end", "delivery", "media.attach", row, {}, "error"));
      if (error instanceof InputError) return oneLine(error.message);
      parts.log("error", "a file of a reply failed", { error: (error as Error).message, runId: row.runId });
      return "the gateway failed inside";
    }
  }

  return { takeIn, pictures, labelOf, sendOut };
}

/**
 * Which file of an agent's may leave: what the agent itself could read for whoever has it sent, and no further (attack
 * What would ask is refused.
 */
export function mayLeave(request: ToolRequest, context: PolicyContext): Verdict<Permit> {
  const verdict = decide(request, context);
  return verdict.ok === "ask" ? refuse("policy.tool_denied", request.tool) : verdict;
}

/** A file on its way out, by its content. */
export function leavingFile(path: string, bytes: Buffer) {
  const { type, extension } = mediaType(bytes);
  const name = plainName(path.split("/").at(-1) ?? "") || `file.${extension}`;
  return { name, extension, type, bytes: bytes.length, sha256: sha256(bytes) };
}

/** A file of a reply; `outbound` where a platform is to have it. */
interface Attached {
  readonly sent: SentFile;
  readonly outbound?: OutboundFile;
}

/** Who wrote the file's content: the sender, or whoever the sender forwards. */
function sourceOf(row: InboxRow, file: KeptAttachment | undefined): Source {
  return file?.isForwarded ? joinSources(row.source, foreignSource) : row.source;
}

function bytesOf(file: KeptAttachment | undefined): number {
  return file?.staged?.path === undefined ? 0 : file.staged.bytes;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function tooLarge(bytes: number, maxBytes: number): string {
  return `it is too large (${sizeText(bytes)}, at most ${sizeText(maxBytes)}; mediaMaxMb)`;
}

/** An error in the brackets of its line: without a bracket that would close it. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}[\]]/gu, " ").slice(0, 200);
}
