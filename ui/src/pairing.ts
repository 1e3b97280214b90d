import { type Desk, problemText } from "./desk.ts";
import { fields, items, text } from "./untrusted.ts";

/** Somebody on a chat platform who asks to be let in. */
export interface PairingRequest {
  readonly channel: string;
  readonly accountId: string;
  readonly code: string;
  readonly senderId: string;
  readonly senderName: string;
  readonly createdAtMs: number | undefined;
  /** By the gateway's clock. */
  readonly expiresAtMs: number | undefined;
  readonly answering: boolean;
}

export interface Pairing {
  load(): Promise<void>;
  answer(request: PairingRequest, admit: boolean): Promise<void>;
}

export function openPairing(desk: Desk): Pairing {
  const { store } = desk;
  const isSame = (one: PairingRequest, other: PairingRequest) =>
    one.channel === other.channel && one.accountId === other.accountId && one.code === other.code;
  const mark = (request: PairingRequest, answering: boolean) =>
    store.change((state) => ({
      pairing: state.pairing.map((one) => (isSame(one, request) ? { ...one, answering } : one)),
    }));

  return {
    async load() {
      try {
        const listed = fields(await desk.call("channels.pairing.list"));
        const requests = items(listed.requests).map((raw) => readPairing(raw));
        store.change(() => ({ pairing: requests.filter((one) => one.code !== "") }));
      } catch {
        // A gateway without chat channels may not know the method; then there is nothing to show.
      }
    },

    async answer(request, admit) {
      mark(request, true);
      const { channel, accountId, code } = request;
      try {
        await desk.call(admit ? "channels.pairing.approve" : "channels.pairing.dismiss", {
          channel,
          accountId,
          requestId: code,
        });
        store.change((state) => ({ pairing: state.pairing.filter((one) => !isSame(one, request)) }));
        desk.notify("info", admit ? "They may write to the agent now." : "The request was dismissed.");
      } catch (error) {
        mark(request, false);
        desk.notify("problem", problemText("The request was not answered", error));
      }
    },
  };
}

function readPairing(raw: unknown): PairingRequest {
  const request = fields(raw);
  return {
    channel: text(request.channel),
    accountId: text(request.accountId),
    code: text(request.requestId),
    senderId: text(request.senderId),
    senderName: request.senderLabel === request.senderId ? "" : text(request.senderLabel),
    createdAtMs: momentMs(request.createdAt),
    expiresAtMs: momentMs(request.expiresAt),
    answering: false,
  };
}

function momentMs(iso: unknown): number | undefined {
  const ms = Date.parse(text(iso));
  return Number.isNaN(ms) ? undefined : ms;
}
