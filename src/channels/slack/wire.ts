/** The parts of Slack's APIs that we read (https://docs.slack.dev). What is absent here is not looked at. */

/** What the Events API delivers, over a socket or posted to us. */
export interface EventPayload {
  readonly type?: string;
  readonly event_id?: string;
  readonly team_id?: string;
  readonly api_app_id?: string;
  readonly authorizations?: readonly { readonly team_id?: string | null }[];
  readonly event?: MessageEvent;
  /** Of url_verification. */
  readonly challenge?: unknown;
}

export interface MessageEvent {
  readonly type?: string;
  readonly subtype?: string;
  readonly hidden?: boolean;
  readonly channel?: string;
  readonly channel_type?: string;
  readonly user?: string;
  readonly bot_id?: string;
  readonly text?: string;
  readonly ts?: string;
  readonly thread_ts?: string;
  /** Who began the thread. */
  readonly parent_user_id?: string;
  readonly files?: readonly WireFile[];
  readonly attachments?: readonly WireShare[];
}

export interface WireFile {
  readonly id?: string;
  readonly name?: string | null;
  readonly mimetype?: string;
  readonly size?: number;
  readonly mode?: string;
  readonly url_private?: string;
  readonly url_private_download?: string;
  readonly channels?: readonly string[];
  readonly groups?: readonly string[];
  readonly ims?: readonly string[];
  readonly shares?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A message that is shared in another one, among other things that hang on a message. */
export interface WireShare {
  readonly is_share?: boolean;
  readonly is_msg_unfurl?: boolean;
  readonly author_id?: string;
  readonly author_name?: string;
  readonly text?: string;
}

/** A press on a button, among others. */
export interface ActionPayload {
  readonly type?: string;
  readonly api_app_id?: string;
  readonly team?: { readonly id?: string } | null;
  readonly user?: { readonly id?: string; readonly username?: string; readonly name?: string };
  readonly channel?: { readonly id?: string };
  readonly message?: MessageEvent;
  readonly container?: { readonly thread_ts?: string };
  readonly actions?: readonly {
    readonly action_id?: string;
    readonly value?: string;
    readonly action_ts?: string;
  }[];
}

/** One message of Socket Mode. */
export interface Envelope {
  readonly type?: string;
  readonly envelope_id?: string;
  readonly payload?: unknown;
  /** Of "disconnect". */
  readonly reason?: string;
  /** Of "hello". */
  readonly num_connections?: number;
  readonly connection_info?: { readonly app_id?: string };
}

/** Members are U or W, conversations C, G or D, and the case counts. */
export function isUserId(text: unknown): text is string {
  return typeof text === "string" && /^[UW][A-Z0-9]{2,20}$/.test(text);
}

export function isConversationId(text: unknown): text is string {
  return typeof text === "string" && /^[CGD][A-Z0-9]{2,20}$/.test(text);
}

/** A message's number in its conversation: Unix seconds with six decimals. */
export function isTimestamp(text: unknown): text is string {
  return typeof text === "string" && /^\d{1,12}\.\d{6}$/.test(text);
}
