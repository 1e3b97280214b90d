/** Stands in for Baileys in a gateway that is a process of its own: its documented calls and events, over lines. */
import { EventEmitter } from "node:events";
import { connect } from "node:net";
import type { BaileysSocket, SocketOptions } from "../../../src/channels/whatsapp/library.ts";
import { type FromLibrary, numberBehind, type ToLibrary } from "./remote.ts";

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export const initAuthCreds = () => ({ registrationId: 1 });
export const BufferJSON = {
  replacer: (_key: string, value: unknown) => value,
  reviver: (_key: string, value: unknown) => value,
};
export const proto = { Message: { AppStateSyncKeyData: { fromObject: (value: object) => value } } };
export const downloadContentFromMessage = () => Promise.reject(new Error("gone"));

export function makeWASocket(_options: SocketOptions): BaileysSocket {
  const ev = new EventEmitter();
  const calls = new Map<number, Call>();
  const socket = connect(Number(process.env.FAKE_WHATSAPP_PORT), "127.0.0.1");
  const say = (line: FromLibrary) => void socket.write(`${JSON.stringify(line)}\n`);
  let count = 0;
  let rest = "";
  socket.on("error", () => {});
  socket.on("close", () => {
    for (const { reject } of calls.values()) reject(new Error("the connection was lost"));
    ev.emit("connection.update", { connection: "close", lastDisconnect: { error: boom(428) } });
  });
  socket.setEncoding("utf8").on("data", (text: string) => {
    rest += text;
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const line = JSON.parse(rest.slice(0, end)) as ToLibrary;
      rest = rest.slice(end + 1);
      if ("answer" in line) {
        const call = calls.get(line.answer);
        calls.delete(line.answer);
        if (line.status === undefined) call?.resolve(line.value);
        else call?.reject(boom(line.status));
        continue;
      }
      ev.emit(line.event, line.value);
      if (line.receipt !== undefined) say({ receipt: line.receipt });
      if (line.event !== "messages.upsert") continue;
      const { messages } = line.value as { readonly messages: readonly { key: { id: string } }[] };
      say({ taken: messages.map((message) => message.key.id) });
    }
  });
  return {
    ev: { on: (event, listener) => void ev.on(event, (value) => listener(value as never)) },
    user: { id: "15550009999:7@s.whatsapp.net", name: "house" },
    // The library keeps what it learned of a message that named both.
    signalRepository: { lidMapping: { getPNForLID: async (lid) => numberBehind(lid) ?? null } },
    sendMessage: (jid, content, given) =>
      new Promise((resolve, reject) => {
        if (!socket.writable || socket.connecting) return reject(boom(428));
        count += 1;
        calls.set(count, { resolve, reject });
        const id = (given as { readonly messageId?: string }).messageId ?? "";
        say({ call: count, jid, content: content as Readonly<Record<string, unknown>>, id });
      }),
    sendPresenceUpdate: async () => {},
    readMessages: async () => {},
    end: () => socket.destroy(),
  };
}

function boom(statusCode: number): Error {
  return Object.assign(new Error("from the library"), { output: { statusCode } });
}
