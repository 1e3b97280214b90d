import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import {
  ackEmoji,
  type Channel,
  deliverySettings,
  type InboundMessage,
  type InboxRow,
  type OutboxRow,
  type OutboxState,
} from "../delivery/mod.ts";
import { type Clock, InputError, type Log, sleep } from "../kernel/mod.ts";
import type { HostWorkspace } from "../sandbox/mod.ts";
import { ensureFolder, type Store } from "../store/mod.ts";
import type { MediaPort } from "../turn-parts.ts";
import { every } from "./checkpoint.ts";
import { createInboundFiles, inboundFolder } from "./inbound-files.ts";
import { createShownFiles, type ShownFiles } from "./shown-files.ts";
import type { Tools } from "./tools.ts";

/** Where the gateway itself keeps files: what control clients sent until its turn, and what is on its way out. */
export interface Media extends MediaPort {
  /** An accepted message gets the emoji that says so, where the config wants one. */
  acknowledge(message: InboundMessage, row: InboxRow): void;
  /** Keeps an upload until its message's turn; gives the reference to fetch it by. */
  holdUpload(messageId: string, index: number, bytes: Buffer): Promise<string>;
  /** Every file that came with these messages, or goes out for them. */
  filesOf(messageIds: ReadonlySet<string>): Promise<readonly MediaFile[]>;
  /** What replies showed to control clients. */
  readonly shown: ShownFiles;
  /** A row of the outbox came to this state. */
  settled(row: OutboxRow, state: OutboxState): void;
  /** Removes what is no longer needed. */
  sweep(): Promise<void>;
  /** Does so now and once an hour. Gives what ends that. */
  keepSweeping(): () => void;
}

export interface MediaFile {
  readonly path: string;
  remove(): Promise<void>;
}

const sweepEveryMs = 3_600_000;
/** Younger copies may belong to a row that is about to be committed. */
const orphanAgeMs = 600_000;
const channelWaitMs = 10_000;
/** A file that control clients are shown is hashed and sent whole: this keeps the event loop free. */
const maxShownBytes = 20 * 1_048_576;
const defaultTtlHours = 48;
const uploadPrefix = "upload:";
/** A message's id, and which of its files. */
const keptName = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d{1,3}(?:\.[a-z0-9]{1,5})?$/;

export function createMedia(ports: {
  readonly config: () => OpenClawConfig;
  readonly stateFolder: string;
  readonly store: Pick<Store, "inbox" | "outbox" | "personal">;
  readonly tools: Tools;
  readonly channel: (id: string, account: string) => Channel | undefined;
  readonly agentIds: () => readonly string[];
  readonly agentEmoji: (agentId: string) => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}): Media {
  const { clock, store, tools } = ports;
  const folder = join(ports.stateFolder, "media");
  const uploads = join(folder, "uploads");
  const outbound = join(folder, "outbound");
  const inbound = createInboundFiles(ports);
  const shown = createShownFiles({
    stateFolder: ports.stateFolder,
    openFolder: tools.openFolder,
    hasSession: (id) => store.personal.hasSession(id),
    messageIdOf: (runId) => store.inbox.byRunId(runId)?.messageId,
    clock,
  });

  async function put(place: string, name: string, bytes: Buffer): Promise<string> {
    await ensureFolder(folder);
    await ensureFolder(place);
    const path = join(place, name);
    await writeFile(path, bytes, { mode: 0o600, flush: true });
    return path;
  }

  /** After a restart turns begin before the channels do. */
  async function channelOf(id: string, account: string, signal: AbortSignal): Promise<Channel> {
    for (let waited = 0; waited < channelWaitMs && !signal.aborted; waited += 100) {
      const channel = ports.channel(id, account);
      if (channel) return channel;
      await sleep(clock, 100, signal);
    }
    throw new InputError(`the channel ${id} is not running`);
  }

  async function fetchUpload(reference: string, maxBytes: number): Promise<Buffer> {
    const name = reference.slice(uploadPrefix.length);
    if (!reference.startsWith(uploadPrefix) || !keptName.test(name))
      throw new InputError("its reference is none of ours");
    const bytes = await readFile(join(uploads, name)).catch(() => {
      throw new InputError("it is gone; send it again");
    });
    if (bytes.length > maxBytes) throw new InputError(`it is larger than ${maxBytes} bytes`);
    return bytes;
  }

  function react({ channel, account, reply }: InboxRow, emoji: string): void {
    if (reply?.messageId === undefined) return;
    ports.channel(channel, account)?.react?.(reply.conversation, reply.messageId, emoji);
  }

  // --- what is no longer needed ------------------------------------------------------------------------------------

  async function sweep(): Promise<void> {
    await sweepFolder(uploads, (messageId) => isOpen(messageId));
    await sweepFolder(outbound, (messageId, path, ageMs) =>
      store.outbox
        .byMessageId(messageId)
        .some((row) => row.message.file?.path === path && isNeeded(row.state, ageMs)),
    );
    await shown.sweep();
    await inbound.visit(sweepWorkspace);
  }

  const isOpen = (messageId: string) =>
    ["accepted", "running"].includes(store.inbox.byMessageId(messageId)?.state ?? "");

  function ttlMs(): number {
    const hours = ports.config().attachments?.ttlHours ?? defaultTtlHours;
    return hours === 0 ? Number.POSITIVE_INFINITY : hours * 3_600_000;
  }

  /** What did not arrive may still be sent again by an operator, for a time. */
  function isNeeded(state: OutboxState, ageMs: number): boolean {
    if (state === "pending" || state === "sending") return true;
    return (state === "unknown" || state === "rejected") && ageMs < ttlMs();
  }

  async function sweepFolder(
    place: string,
    isWanted: (messageId: string, path: string, ageMs: number) => boolean,
  ): Promise<void> {
    for (const name of await readdir(place).catch(() => [])) {
      const path = join(place, name);
      const ageMs = clock.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0);
      const messageId = keptName.exec(name)?.[1] ?? "";
      if (ageMs > orphanAgeMs && !isWanted(messageId, path, ageMs)) await rm(path, { force: true });
    }
  }

  async function sweepWorkspace(workspace: HostWorkspace, names: readonly string[]): Promise<void> {
    for (const [index, name] of names.entries()) {
      // A long list must not hold the event loop.
      if (index % 200 === 199) await sleep(clock, 0);
      const messageId = keptName.exec(name)?.[1];
      if (messageId === undefined || isOpen(messageId)) continue;
      const receivedAt = store.inbox.byMessageId(messageId)?.receivedAt ?? 0;
      if (clock.now() - receivedAt > ttlMs()) await workspace.remove(`${inboundFolder}/${name}`);
    }
  }

  async function filesOf(messageIds: ReadonlySet<string>): Promise<MediaFile[]> {
    const isTheirs = (name: string) => messageIds.has(keptName.exec(name)?.[1] ?? "");
    const found: MediaFile[] = [...(await shown.of(messageIds))];
    for (const place of [uploads, outbound]) {
      for (const name of (await readdir(place).catch(() => [])).filter(isTheirs)) {
        const path = join(place, name);
        found.push({ path, remove: () => rm(path, { force: true }) });
      }
    }
    await inbound.visit(async ({ root }, names) => {
      for (const name of names.filter(isTheirs))
        found.push({ path: join(root, inboundFolder, name), remove: () => inbound.remove(root, name) });
    });
    return found;
  }

  const settings = (channel: string, account: string) => deliverySettings(ports.config(), channel, account);

  return {
    filesOf,
    shown,
    settings,
    sendBytes: (channel, account) =>
      channel === "control"
        ? Math.min(settings(channel, account).fileBytes, maxShownBytes)
        : ports.channel(channel, account)?.limits.fileBytes,
    async fetch(row, reference, maxBytes, signal) {
      if (row.channel === "control") return fetchUpload(reference, maxBytes);
      const channel = await channelOf(row.channel, row.account, signal);
      if (!channel.fetch) throw new InputError(`files cannot be fetched from ${row.channel}`);
      return channel.fetch(reference, maxBytes, signal);
    },
    async write(row, path, bytes) {
      await (await tools.openWorkspace(row.agentId, row.sessionKey)).write(path, bytes);
    },
    async read(row, path, maxBytes) {
      return (await (await tools.openWorkspace(row.agentId, row.sessionKey)).read(path, maxBytes)).bytes;
    },
    readPermitted: tools.readFile,
    keep: (name, bytes) => put(outbound, name, bytes),
    keepShown: shown.keep,
    ended(row) {
      for (const { reference } of row.attachments ?? []) {
        const name = reference.slice(uploadPrefix.length);
        if (row.channel === "control" && keptName.test(name))
          void rm(join(uploads, name), { force: true }).catch(() => {});
      }
      if (deliverySettings(ports.config(), row.channel, row.account).removeAckAfterReply) react(row, "");
    },
    acknowledge(message, row) {
      const settings = deliverySettings(ports.config(), row.channel, row.account);
      const emoji = ackEmoji(message, settings, ports.agentEmoji(row.agentId));
      if (emoji !== "") react(row, emoji);
    },
    async holdUpload(messageId, index, bytes) {
      const name = `${messageId}-${index}`;
      await put(uploads, name, bytes);
      return `${uploadPrefix}${name}`;
    },
    settled(row, state) {
      const path = row.message.file?.path;
      // What did not arrive may be sent again by an operator; it goes with the next sweep after its time.
      if (path?.startsWith(`${outbound}/`) && (state === "sent" || state === "dismissed"))
        void rm(path, { force: true }).catch(() => {});
    },
    sweep,
    keepSweeping() {
      const run = () =>
        void sweep().catch((error) =>
          ports.log("warn", "old files could not be removed", { error: (error as Error).message }),
        );
      run();
      return every(clock, sweepEveryMs, run);
    },
  };
}
