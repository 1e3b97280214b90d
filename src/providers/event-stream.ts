import type { IncomingMessage } from "node:http";
import { createParser, type EventSourceParser } from "eventsource-parser";
import type { ModelEvent } from "../agent/model.ts";
import type { ModelFault } from "../kernel/mod.ts";
import type { Exchange, Receiver } from "./exchange.ts";
import type { Faults } from "./faults.ts";
import { type Fields, fields, isObject } from "./fields.ts";
import type { Transport } from "./transport.ts";

/** One event of the stream, and all of one call's arguments, in characters. */
export const maxEventChars = 8 * 1024 * 1024;
/** All of one answer's text, which is kept and shown; of the stream around it. A server without end sends small events. */
const maxTextChars = 1024 * 1024;
const maxStreamChars = 64 * 1024 * 1024;
/** Events that wait for a slow reader before the socket is paused, and when it flows again. */
const pauseAt = 512;
const resumeAt = 64;

export type Emit = (event: ModelEvent) => void;

/** What a wire makes of its server-sent events. It emits exactly one `end`, and nothing after it. Throws ModelFaults. */
export interface Decoder {
  event(data: Fields, name: string | undefined): void;
  /** "[DONE]", where the wire has it. */
  doneMark(): void;
  /** The body ended properly but no `end` was emitted yet: emit it if nothing is missing, or throw. */
  bodyEnd(): void;
}

interface ModelCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What JSON.stringify makes the body of. */
  body(): string;
  readonly signal: AbortSignal;
  decoder(emit: Emit): Decoder;
}

/** One streamed call; it begins when it is first iterated, and leaving the loop early closes the socket. */
export function streamCall(transport: Transport, call: ModelCall): AsyncIterable<ModelEvent> {
  return { [Symbol.asyncIterator]: () => new CallEvents(transport, call) };
}

interface Waiter {
  resolve(result: IteratorResult<ModelEvent>): void;
  reject(fault: ModelFault): void;
}

/** A queue between the socket, which pushes, and the agent, which pulls. */
class CallEvents implements AsyncIterator<ModelEvent>, Receiver {
  readonly #faults: Faults;
  readonly #decoder: Decoder;
  readonly #parser: EventSourceParser;
  readonly #exchange: Exchange | undefined;
  #queue: ModelEvent[] = [];
  #next = 0;
  #waiter: Waiter | undefined;
  #fault: ModelFault | undefined;
  #ended = false;
  #paused = false;
  #sawEvent = false;
  #textChars = 0;
  #streamChars = 0;

  constructor(transport: Transport, call: ModelCall) {
    this.#faults = transport.faults;
    this.#decoder = call.decoder((event) => this.#push(event));
    this.#parser = createParser({
      onEvent: ({ data, event }) => this.#decode(data, event),
      onError: (error) => {
        if (error.type === "max-buffer-size-exceeded") {
          throw this.#faults.make("protocol", "sent an event of over 8 MB");
        }
      },
      maxBufferSize: maxEventChars,
    });
    this.#exchange = this.#send(transport, call);
  }

  #send(transport: Transport, call: ModelCall): Exchange | undefined {
    let body: string;
    try {
      body = call.body();
    } catch {
      // A hundred thousand brackets in a tool call are parsed well enough, but overflow the stack when written.
      this.#fault = this.#faults.make("badRequest", "the conversation cannot be written as JSON");
      return undefined;
    }
    return transport.send({
      method: "POST",
      path: call.path,
      headers: call.headers,
      body,
      signal: call.signal,
      receiver: this,
      failed: (fault) => this.#fail(fault),
    });
  }

  next(): Promise<IteratorResult<ModelEvent>> {
    const event = this.#queue[this.#next];
    if (event !== undefined) {
      this.#next++;
      if (this.#next === this.#queue.length) {
        this.#queue = [];
        this.#next = 0;
      }
      if (this.#paused && this.#queue.length - this.#next < resumeAt) {
        this.#paused = false;
        this.#exchange?.resume();
      }
      return Promise.resolve({ value: event, done: false });
    }
    if (this.#fault !== undefined) {
      const fault = this.#fault;
      this.#fault = undefined;
      this.#ended = true;
      return Promise.reject(fault);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<ModelEvent>> {
    if (!this.#ended) this.#exchange?.close();
    this.#ended = true;
    this.#queue = [];
    this.#next = 0;
    this.#fault = undefined;
    this.#waiter?.resolve({ value: undefined, done: true });
    this.#waiter = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  head(response: IncomingMessage): void {
    const type = response.headers["content-type"] ?? "";
    const encoding = response.headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") throw this.#faults.make("protocol", "compressed its answer unasked");
    // Some compatible servers label their stream wrongly, so only what is surely something else is turned away here.
    if (/html|xml|image|application\/json/i.test(type)) this.#document = "";
  }

  /** The body, while it is a document and not a stream: it may hold the provider's own words about an error. */
  #document: string | undefined;

  chunk(text: string): void {
    if (this.#document === undefined) {
      this.#streamChars += text.length;
      if (this.#streamChars > maxStreamChars)
        throw this.#faults.make("protocol", "sent an answer of over 64 MB");
      this.#parser.feed(text);
      return;
    }
    this.#document += text;
    if (this.#document.length > 64 * 1024) throw this.#notAStream();
  }

  end(): void {
    if (this.#document !== undefined) throw this.#notAStream();
    // The last event of a sloppy server lacks its blank line.
    this.#parser.feed("\n\n");
    if (this.#ended) return;
    if (!this.#sawEvent) throw this.#notAStream();
    this.#decoder.bodyEnd();
  }

  #notAStream(): ModelFault {
    const parsed = parseJson(this.#document ?? "");
    const error = fields(Array.isArray(parsed) ? parsed[0] : parsed).error;
    if (error !== undefined && error !== null) return this.#faults.fromEvent(error);
    return this.#faults.make("protocol", "answered 200, but not with a stream of events");
  }

  #decode(data: string, name: string | undefined): void {
    if (this.#ended) return;
    this.#sawEvent = true;
    if (data === "[DONE]") {
      this.#decoder.doneMark();
      return;
    }
    const parsed = parseJson(data);
    if (!isObject(parsed)) throw this.#faults.make("protocol", "sent an event that is not a JSON object");
    this.#decoder.event(parsed, name);
  }

  #push(event: ModelEvent): void {
    if (this.#ended) return;
    if (event.type === "text") {
      this.#textChars += event.delta.length;
      if (this.#textChars > maxTextChars) throw this.#faults.make("protocol", "sent over 1 MB of text");
    }
    if (event.type === "end") {
      this.#ended = true;
      this.#exchange?.done();
    }
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      waiter.resolve({ value: event, done: false });
      return;
    }
    this.#queue.push(event);
    if (!this.#paused && !this.#ended && this.#queue.length - this.#next >= pauseAt) {
      this.#paused = true;
      this.#exchange?.pause();
    }
  }

  #fail(fault: ModelFault): void {
    if (this.#ended) return;
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#fault = fault;
      return;
    }
    this.#waiter = undefined;
    this.#ended = true;
    waiter.reject(fault);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
