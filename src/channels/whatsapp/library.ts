import { InputError, type Json } from "../../kernel/mod.ts";

/**
 * What we use of Baileys 7, as its documentation and its types tell it (https://baileys.wiki). It is not among our own
 * dependencies: see DEPENDENCIES.md.
 */
export interface Baileys {
  readonly makeWASocket: (options: SocketOptions) => BaileysSocket;
  readonly initAuthCreds: () => Json;
  /** Keys hold bytes; these write and read them as JSON. */
  readonly BufferJSON: {
    readonly replacer: (key: string, value: unknown) => unknown;
    readonly reviver: (key: string, value: unknown) => unknown;
  };
  readonly proto: {
    readonly Message: { readonly AppStateSyncKeyData: { fromObject(value: object): unknown } };
  };
  readonly downloadContentFromMessage: (
    file: { readonly mediaKey: Uint8Array; readonly directPath: string },
    type: string,
    options: object,
  ) => Promise<AsyncIterable<Uint8Array>>;
}

export interface SocketOptions {
  readonly auth: AuthState;
  readonly logger: QuietLogger;
  readonly markOnlineOnConnect: boolean;
  readonly syncFullHistory: boolean;
  readonly shouldSyncHistoryMessage: () => boolean;
  readonly generateHighQualityLinkPreview: boolean;
  readonly getMessage: (key: { readonly id?: string | null }) => Promise<object | undefined>;
}

export interface AuthState {
  readonly creds: unknown;
  readonly keys: {
    get(type: string, ids: readonly string[]): Promise<Record<string, unknown>>;
    set(data: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>): Promise<void>;
  };
}

export interface BaileysSocket {
  readonly ev: {
    on(event: string, listener: (value: never) => void): void;
  };
  readonly user?: { readonly id?: string; readonly lid?: string; readonly name?: string } | undefined;
  sendMessage(jid: string, content: object, options: object): Promise<unknown>;
  sendPresenceUpdate(type: string, jid: string): Promise<void>;
  readMessages(keys: readonly object[]): Promise<void>;
  end(error: Error | undefined): unknown;
}

/** The library logs keys and messages at its lower levels: it logs nothing. */
export interface QuietLogger {
  readonly level: string;
  child(): QuietLogger;
  trace(): void;
  debug(): void;
  info(): void;
  warn(): void;
  error(): void;
}

export function quietLogger(): QuietLogger {
  const nothing = () => {};
  const logger: QuietLogger = {
    level: "silent",
    child: () => logger,
    ...{ trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing },
  };
  return logger;
}

const libraryName = "baileys";

/** Rejects with an InputError when it is not installed. */
export async function loadBaileys(): Promise<Baileys> {
  let found: Partial<Baileys>;
  try {
    // By a name that a build does not see: it is the operator who adds it.
    found = (await import(libraryName)) as Partial<Baileys>;
  } catch {
    throw new InputError(
      "WhatsApp needs the library Baileys, which is not installed; see docs/channels/whatsapp.md, then restart the channel",
    );
  }
  const { makeWASocket, initAuthCreds, BufferJSON, proto, downloadContentFromMessage } = found;
  if (!makeWASocket || !initAuthCreds || !BufferJSON || !proto || !downloadContentFromMessage) {
    throw new InputError("the installed Baileys is another version than the one we know; install 7.0.0-rc14");
  }
  return { makeWASocket, initAuthCreds, BufferJSON, proto, downloadContentFromMessage };
}
