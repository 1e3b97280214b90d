/**
 * The operator path, in order. This file is a map: it calls the stages and records what they say.
 *
 *   frame -> Principal -> capability -> method -> answer
 *
 * `serve` takes one connection from its challenge to its end, operator-connect.ts its `connect` to a Principal;
 * `dispatch` takes one request through the checks.
 */
import { holds, mayCall, type Principal } from "./auth/mod.ts";
import {
  type Call,
  connectDeadline,
  createPace,
  createRepeats,
  defaultMaxBytes,
  invalid,
  MethodError,
  ownerProfileId,
  parseFrame,
  type RequestFrame,
  type Subscriber,
  unavailable,
  type WireError,
} from "./control/mod.ts";
import { admitted, InputError, schema, uuid } from "./kernel/mod.ts";
import type { Arrival, Socket } from "./network/mod.ts";
import {
  answer,
  answerError,
  missingScope,
  notForToken,
  profileMismatch,
  tooLong,
} from "./operator-answers.ts";
import { createConnect } from "./operator-connect.ts";
import type { OperatorParts } from "./operator-parts.ts";
import { createOperatorRecord } from "./operator-record.ts";

export interface Operator {
  serve(socket: Socket, arrival: Arrival, cookie: string): void;
  /** Sockets that have not connected yet are told too. */
  closeAll(code: number, reason: string): void;
  /**
   * Ends every connection of these principals (code 4001), and gives their ids. What they ask from this moment on is
   * not done.
   */
  revoke(isOver: (principal: Principal) => boolean, reason: string): readonly string[];
}

export function createOperator(parts: OperatorParts): Operator {
  const { clock, hub } = parts;
  const waiting = new Set<Socket>();
  const ended = new WeakSet<Subscriber>();
  const pace = createPace(clock);
  const repeats = createRepeats(clock);
  const record = createOperatorRecord(parts, (connection) => ended.has(connection));
  const connect = createConnect(parts, record);

  // --- connection: challenge -> connect -> requests ----------------------------------------------------------

  function serve(socket: Socket, arrival: Arrival, cookie: string): void {
    const nonce = uuid(parts.random);
    let subscriber: Subscriber | undefined;
    let connecting = false;
    let closed = false;
    waiting.add(socket);
    const cancelDeadline = connectDeadline(socket, clock, parts.handshakeTimeoutMs);
    socket.onClose(() => {
      closed = true;
      cancelDeadline();
      waiting.delete(socket);
      if (subscriber) leave(subscriber);
    });
    socket.onMessage((bytes) => {
      const parsed = parseFrame(bytes);
      if (subscriber) {
        if (parsed.ok) void dispatch(parsed.frame, bytes.length, subscriber);
        // What is not JSON has no id to answer to.
        else if (!parsed.garbage) answerError(socket, parsed.id, parsed.error);
        return;
      }
      if (!parsed.ok) {
        if (parsed.garbage) socket.close(1000, "");
        else socket.close(1008, "invalid request frame");
        return;
      }
      // One `connect` at a time: frames that a client sends ahead of its answer are not looked at.
      if (connecting) return;
      connecting = true;
      void connect(parsed.frame, socket, arrival, cookie, nonce).then((principal) => {
        if (!principal) return;
        cancelDeadline();
        waiting.delete(socket);
        // It may have gone while its secret or its device was looked at: nobody would take it out again.
        if (closed) leave(principal);
        else subscriber = principal;
      });
    });
    socket.send(
      JSON.stringify({ type: "event", event: "connect.challenge", payload: { nonce, ts: clock.now() } }),
    );
  }

  // --- request: Principal -> capability -> method -> answer --------------------------------------------------

  async function dispatch(frame: RequestFrame, bytes: number, connection: Subscriber): Promise<void> {
    const { socket, principal } = connection;
    if (frame.method === "connect") {
      answerError(socket, frame.id, invalid("connect is only valid as the first request"));
      return;
    }
    // A socket takes a while to close: what still comes on one that was revoked is not done (CVE-2026-42421).
    if (ended.has(connection) || !parts.apiTokens.stands(principal)) return;
    const row = parts.methods.get(frame.method);
    const role = row?.role ?? "operator";
    if (role !== "both" && role !== principal.role)
      return answerError(socket, frame.id, invalid(`unauthorized role: ${principal.role}`));
    // Scope comes before existence, so that a caller without rights cannot learn which methods there are.
    const needed = row ? row.scope : "operator.admin";
    if (needed !== undefined && !holds(principal.scopes, needed))
      return answerError(socket, frame.id, missingScope(needed));
    if (!row) return answerError(socket, frame.id, invalid(`unknown method: ${frame.method}`));
    const crowded = pace.take(row, connection);
    if (crowded) return answerError(socket, frame.id, crowded);
    const maxBytes = row.maxBytes ?? defaultMaxBytes;
    if (bytes > maxBytes) return answerError(socket, frame.id, tooLong(row.name, maxBytes));
    const params = frame.params ?? {};
    const problems = schema.check(row.params, params);
    if (problems.length > 0) {
      return answerError(
        socket,
        frame.id,
        invalid(`invalid ${frame.method} params: ${problems.map(schema.problemText).join("; ")}`),
      );
    }
    const further = row.scopeFor?.(params);
    if (further !== undefined && !holds(principal.scopes, further))
      return answerError(socket, frame.id, missingScope(further));
    if (frame.expectedProfileId !== undefined && frame.expectedProfileId !== ownerProfileId)
      return answerError(socket, frame.id, profileMismatch());
    try {
      const allowed = mayCall(principal.limits, {
        name: row.name,
        handsOutRights: parts.reach.handsOutRights(row.name),
        reach: () => parts.reach.of(row.name, params),
      });
      if (!admitted(allowed)) return answerError(socket, frame.id, notForToken(allowed));
      const call: Call = {
        principal,
        connection,
        answerAgain: (payload, error) =>
          error
            ? answerError(socket, frame.id, error as WireError, payload)
            : answer(socket, frame.id, payload),
      };
      const run = () => row.run(params, call);
      const action = parts.administration.of(row, params, call);
      const recorded = action ? () => record.administer(action, call, run) : run;
      const key = row.repeats === "remembered" ? keyOf(params) : undefined;
      const result =
        key === undefined ? recorded() : repeats.once(principal.id, `${row.name}\n${key}`, params, recorded);
      answer(socket, frame.id, result instanceof Promise ? await result : result);
    } catch (error) {
      if (error instanceof MethodError) return answerError(socket, frame.id, error.wire, error.payload);
      if (error instanceof InputError) return answerError(socket, frame.id, invalid(error.message));
      parts.log("error", "a method failed", { method: frame.method, error: (error as Error).message });
      answerError(socket, frame.id, unavailable("the gateway failed on this request; see its log"));
    }
  }

  return {
    serve,
    closeAll(code, reason) {
      for (const socket of waiting) socket.close(code, reason);
      for (const subscriber of hub.all()) subscriber.socket.close(code, reason);
    },
    revoke(isOver, reason) {
      const over = [...hub.all()].filter(({ principal }) => isOver(principal));
      for (const subscriber of over) {
        ended.add(subscriber);
        // No event either; the answer to the very request that did this still goes out.
        leave(subscriber);
        clock.after(0, () => subscriber.socket.close(4001, reason));
      }
      return over.map(({ principal }) => principal.id);
    },
  };

  function leave(subscriber: Subscriber): void {
    hub.remove(subscriber);
    if (subscriber.presence) parts.presenceChanged();
    if (subscriber.principal.role === "node") parts.nodeWent(subscriber);
  }
}

function keyOf(params: unknown): string | undefined {
  const { idempotencyKey } = params as { readonly idempotencyKey?: unknown };
  return typeof idempotencyKey === "string" ? idempotencyKey : undefined;
}
