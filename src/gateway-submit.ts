/**
 * The message path's other entrance, in order: a control client's message up to the lane. This file is a map, as
 * gateway.ts is.
 *
 *   Principal -> Turn
 */
import { hash } from "node:crypto";
import { type Attachment, type Destination, digestOf, type InboxRow } from "./delivery/mod.ts";
import type { GatewayParts } from "./gateway-parts.ts";
import type { GatewayRows } from "./gateway-rows.ts";
import { admit, admitted, refuse, type Source, uuid, type Verdict } from "./kernel/mod.ts";
import { parseChatCommand } from "./session/mod.ts";

/** A message from a control client (the page, the terminal, an API). */
export interface Submission {
  readonly sessionKey: string;
  readonly agentId: string;
  readonly text: string;
  /** Becomes the run's id; the same key is never run twice. */
  readonly idempotencyKey: string;
  readonly source: Source;
  readonly actor: string;
  /** Files of the client's, at most 16; what it says of them is a claim. */
  readonly files?: readonly Upload[];
  /** Where the reply is sent, once; kept with the message. */
  readonly delivery?: Delivery;
}

export interface Delivery {
  readonly to: Destination;
  /** In the sender's words: "last" asks for the same, wherever that is by now. Empty: the sender did not say. */
  readonly asked: string;
}

export interface Upload extends Pick<Attachment, "claimedType" | "claimedName"> {
  readonly bytes: Buffer;
}

export interface Submitted {
  readonly runId: string;
  readonly status: "started" | "in_flight" | "ok";
}

export function createSubmit(
  parts: GatewayParts,
  { record }: Pick<GatewayRows, "record">,
  lane: {
    readonly isDraining: () => boolean;
    readonly enqueue: (row: InboxRow) => void;
    readonly abort: (sessionKey: string, runId: string | undefined, besides: string) => void;
  },
): (submission: Submission) => Promise<Verdict<Submitted>> {
  const { clock, commit, inbox, lanes } = parts;

  async function submit(submission: Submission): Promise<Verdict<Submitted>> {
    const { idempotencyKey, sessionKey, agentId, text, source, files = [], delivery } = submission;
    const asked = delivery?.asked ? [`deliver: ${delivery.asked}`] : [];
    const given = [text, ...files.map(({ bytes }) => sha256(bytes)), ...asked];
    const digest = digestOf(sessionKey, given.join("\n"));
    const allowed = parts.mayUseAgent(source.author, agentId);
    if (!admitted(allowed)) return allowed;
    const known = repeated(idempotencyKey, digest);
    if (known) return known;
    if (lane.isDraining()) return refuse("delivery.draining");
    if (text.length > parts.maxMessageChars) {
      return refuse(
        "session.message_too_large",
        `${text.length} characters, at most ${parts.maxMessageChars}`,
      );
    }
    if (!lanes.hasRoom(sessionKey)) return refuse("session.queue_full", sessionKey);
    const now = clock.now();
    const messageId = uuid(parts.random);
    const attachments = await held(messageId, files);
    const row: InboxRow = {
      messageId,
      channel: "control",
      account: "",
      eventId: idempotencyKey,
      state: "accepted",
      sessionKey,
      agentId,
      runId: idempotencyKey,
      receivedAt: now,
      updatedAt: now,
      text,
      digest,
      source,
      ...(attachments.length === 0 ? {} : { attachments }),
      ...(delivery === undefined ? {} : { deliverTo: delivery.to }),
    };
    try {
      await commit([inbox.insert(row), record("auth", "admit", row, admission(submission))]);
    } catch (error) {
      // Two frames with one key at once: the second finds the first's row.
      const twin = repeated(idempotencyKey, digest);
      if (twin) return twin;
      parts.log("error", "a message could not be stored", { error: (error as Error).message });
      return refuse("delivery.store_unavailable", (error as Error).message);
    }
    if (parseChatCommand(text)?.name === "stop") lane.abort(sessionKey, undefined, row.runId);
    lane.enqueue(row);
    return admit({ runId: row.runId, status: "started" });
  }

  async function held(messageId: string, files: readonly Upload[]): Promise<Attachment[]> {
    const kept: Attachment[] = [];
    for (const [index, { bytes, ...claims }] of files.entries()) {
      const reference = await parts.holdUpload(messageId, index, bytes);
      kept.push({ ...claims, kind: "file", claimedBytes: bytes.length, reference });
    }
    return kept;
  }

  /** The answer to a key that was used before; undefined for a new one. */
  function repeated(idempotencyKey: string, digest: string): Verdict<Submitted> | undefined {
    const known = inbox.find("control", "", idempotencyKey);
    if (!known) return undefined;
    // Of what is not kept, nothing can be compared.
    if (known.digest !== "" && known.digest !== digest) return refuse("delivery.conflict", idempotencyKey);
    const isOpen = known.state === "accepted" || known.state === "running";
    return admit({ runId: known.runId, status: isOpen ? "in_flight" : "ok" });
  }

  return submit;
}

function admission({ actor, delivery }: Submission) {
  if (!delivery) return { principal: actor };
  const { channel, account, conversation } = delivery.to;
  return { principal: actor, deliverTo: { channel, account, kind: conversation.kind, id: conversation.id } };
}

function sha256(bytes: Buffer): string {
  return hash("sha256", bytes);
}
