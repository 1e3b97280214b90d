import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
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
  /** `getPNForLID` tells what the library kept of messages that came; it asks nobody. */
  readonly signalRepository: {
    readonly lidMapping: { getPNForLID(lid: string): Promise<string | null> };
  };
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
export const libraryVersion = "7.0.0-rc14";

/** Where `openclaw channels add whatsapp` puts it. */
function folderIn(extensions: string): string {
  return join(extensions, "whatsapp", "node_modules", libraryName);
}

/** Whether just the version that we know is there, where nobody else could have put it. */
export async function isInstalled(extensions: string): Promise<boolean> {
  const folder = folderIn(extensions);
  try {
    for (const place of [join(extensions, "whatsapp"), folder]) {
      const status = await lstat(place);
      // Whoever may write there decides what the gateway runs.
      if (!status.isDirectory() || (status.mode & 0o022) !== 0) return false;
    }
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    return version === libraryVersion;
  } catch {
    return false;
  }
}

/** Rejects with an InputError when it is not installed. */
export async function loadBaileys(extensions: string): Promise<Baileys> {
  let found: Partial<Baileys>;
  try {
    const isThere = await isInstalled(extensions);
    const place = isThere ? pathToFileURL(join(folderIn(extensions), "lib", "index.js")).href : libraryName;
    // By a name that a build does not see: it is the operator who adds it.
    found = (await import(place)) as Partial<Baileys>;
  } catch {
    throw new InputError(
      "WhatsApp needs the library Baileys, which is not installed: openclaw channels add whatsapp, then restart the channel",
    );
  }
  const { makeWASocket, initAuthCreds, BufferJSON, proto, downloadContentFromMessage } = found;
  if (!makeWASocket || !initAuthCreds || !BufferJSON || !proto || !downloadContentFromMessage) {
    throw new InputError(
      `the installed Baileys is another version than the one we know, ${libraryVersion}: openclaw channels add whatsapp`,
    );
  }
  return { makeWASocket, initAuthCreds, BufferJSON, proto, downloadContentFromMessage };
}
