import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import type { LinkSocket, LinkSocketEvents } from "../nodes/host/mod.ts";

/**
 * Opens a WebSocket of a node. With a fingerprint (SHA-256 of the gateway's certificate, hex) nothing but that very
 * certificate is talked to, whoever signed it; nothing is sent before it was looked at.
 */
export function openNodeSocket(
  url: string,
  fingerprint: string | undefined,
  events: LinkSocketEvents,
): LinkSocket {
  const socket = new WebSocket(url, {
    handshakeTimeout: 15_000,
    maxPayload: 64 * 1024 * 1024,
    perMessageDeflate: false,
    // Which certificate it is, is looked at below; who signed it says nothing then.
    ...(fingerprint === undefined ? {} : { rejectUnauthorized: false }),
  });
  let problem = "";
  let isTrusted = fingerprint === undefined;
  socket.on("upgrade", (response: IncomingMessage) => {
    if (fingerprint === undefined) return;
    isTrusted = response.socket instanceof TLSSocket && isCertificate(response.socket, fingerprint);
    if (isTrusted) return;
    problem = "the gateway's certificate is not the one of --tls-fingerprint";
    socket.terminate();
  });
  socket.on("error", (error) => {
    problem ||= error.message;
  });
  socket.on("message", (data) => {
    if (isTrusted) events.message(String(data));
  });
  socket.on("close", (code, reason) => {
    events.closed(problem || `${code} ${String(reason)}`.trim());
  });
  return {
    send(text) {
      if (isTrusted && socket.readyState === socket.OPEN) socket.send(text);
    },
    close() {
      socket.close(1000);
      socket.terminate();
    },
  };
}

function isCertificate(socket: TLSSocket, fingerprint: string): boolean {
  const { raw } = socket.getPeerCertificate();
  const wanted = Buffer.from(fingerprint.replace(/^sha256[:/]?/i, "").replaceAll(":", ""), "hex");
  const found = createHash("sha256")
    .update(raw ?? Buffer.alloc(0))
    .digest();
  return raw !== undefined && wanted.length === found.length && timingSafeEqual(wanted, found);
}
