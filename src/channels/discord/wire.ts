/** The parts of Discord's API v10 that we read (https://docs.discord.com/developers). What is absent here is not looked at. */

export const opcodes = {
  dispatch: 0,
  heartbeat: 1,
  identify: 2,
  resume: 6,
  reconnect: 7,
  invalidSession: 9,
  hello: 10,
  heartbeatAck: 11,
} as const;

/** One message of the gateway. */
export interface Frame {
  readonly op: number;
  readonly d?: unknown;
  readonly s?: number | null;
  readonly t?: string | null;
}

export interface User {
  readonly id: string;
  readonly username?: string;
  readonly global_name?: string | null;
  readonly bot?: boolean;
}

export interface Member {
  readonly nick?: string | null;
  readonly roles?: readonly string[];
  /** Absent on messages, whose author is the member. */
  readonly user?: User;
}

export interface WireAttachment {
  readonly id: string;
  readonly filename?: string;
  readonly content_type?: string;
  readonly size?: number;
  readonly url?: string;
}

export interface WireMessage {
  readonly id: string;
  readonly type?: number;
  readonly channel_id: string;
  readonly channel_type?: number;
  readonly guild_id?: string;
  readonly author?: User;
  readonly member?: Member;
  readonly content?: string;
  readonly nonce?: string | number;
  readonly timestamp?: string;
  readonly mentions?: readonly User[];
  readonly webhook_id?: string;
  readonly attachments?: readonly WireAttachment[];
  readonly embeds?: readonly unknown[];
  readonly sticker_items?: readonly unknown[];
  readonly poll?: {
    readonly question?: { readonly text?: string };
    readonly answers?: readonly { readonly poll_media?: { readonly text?: string } }[];
  };
  readonly message_reference?: { readonly type?: number; readonly message_id?: string };
  readonly referenced_message?: WireMessage | null;
  readonly message_snapshots?: readonly {
    readonly message?: { readonly content?: string; readonly attachments?: readonly WireAttachment[] };
  }[];
}

export interface WireChannel {
  readonly id: string;
  readonly type?: number;
  readonly guild_id?: string;
  readonly parent_id?: string | null;
  readonly owner_id?: string;
  readonly last_message_id?: string | null;
  /** Our own membership of a thread; present where Discord says that we are in it. */
  readonly member?: unknown;
  readonly recipients?: readonly User[];
}

export interface Guild {
  readonly id: string;
  readonly unavailable?: boolean;
  readonly channels?: readonly WireChannel[];
  readonly threads?: readonly WireChannel[];
  /** Of THREAD_MEMBERS_UPDATE. */
  readonly removed_member_ids?: readonly string[];
}

/** A press on a button, among others. */
export interface Interaction {
  readonly id: string;
  readonly type: number;
  readonly token: string;
  readonly guild_id?: string;
  readonly channel_id?: string;
  readonly channel?: WireChannel;
  readonly member?: Member;
  readonly user?: User;
  readonly message?: WireMessage;
  readonly data?: { readonly custom_id?: string; readonly component_type?: number };
}

export const channelTypes = { direct: 1, groupDirect: 3 } as const;
/** Announcement, public and private threads. */
const threadTypes: ReadonlySet<number> = new Set([10, 11, 12]);

export function isThread(type: number | undefined): boolean {
  return type !== undefined && threadTypes.has(type);
}

const epochMs = 1_420_070_400_000n;

/** Numbers of Discord's are 64 bits long, and grow with time. Empty and malformed ones are none. */
export function isSnowflake(text: unknown): text is string {
  return typeof text === "string" && /^[1-9]\d{0,19}$/.test(text);
}

/** A number that is older than every one that was given at this time (Unix ms) or later. */
export function snowflakeAt(ms: number): string {
  return String((BigInt(Math.max(ms, Number(epochMs))) - epochMs) << 22n);
}

/** Unix ms at which it was given. */
export function snowflakeTime(id: string): number {
  return Number((BigInt(id) >> 22n) + epochMs);
}
