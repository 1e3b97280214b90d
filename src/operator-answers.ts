import { invalid, ownerProfileId, type WireError } from "./control/mod.ts";
import { type Refusal, reasonText } from "./kernel/mod.ts";
import type { Socket } from "./network/mod.ts";

export function answer(socket: Socket, id: string, payload: unknown): void {
  answerJson(socket, id, JSON.stringify(payload) ?? "null");
}

export function answerJson(socket: Socket, id: string, json: string): void {
  socket.send(`{"type":"res","id":${JSON.stringify(id)},"ok":true,"payload":${json}}`);
}

export function answerError(socket: Socket, id: string, error: WireError, payload?: unknown): void {
  socket.send(
    JSON.stringify({ type: "res", id, ok: false, ...(payload === undefined ? {} : { payload }), error }),
  );
}

export function missingScope(scope: string): WireError {
  return {
    code: "FORBIDDEN",
    message: `missing scope: ${scope}`,
    details: { code: "MISSING_SCOPE", missingScope: scope, requiredScopes: [scope] },
  };
}

export function tooLong(method: string, maxBytes: number): WireError {
  return invalid(`invalid ${method} params: at root: the request must not be longer than ${maxBytes} bytes`, {
    reason: "request-too-long",
    maxBytes,
  });
}

export function notForToken({ reason, detail }: Refusal): WireError {
  return {
    code: "FORBIDDEN",
    message: `${reasonText(reason)} (${detail})`,
    details: { code: "TOKEN_LIMITED", reason },
  };
}

export function profileMismatch(): WireError {
  return invalid(`this connection acts as the profile ${ownerProfileId}; reconnect and ask again`, {
    reason: "EXPECTED_PROFILE_MISMATCH",
    execution: "not_started",
  });
}
