import {
  attachmentLimits,
  events,
  maxBufferedBytes,
  maxPayloadBytes,
  protocolVersion,
  type Subscriber,
  tickIntervalMs,
} from "./control/mod.ts";
import type { OperatorParts } from "./operator-parts.ts";

export function createHello(parts: Pick<OperatorParts, "methods" | "devices" | "version" | "snapshot">) {
  // The same for every caller and the longest part of the answer: written once.
  const featuresJson = JSON.stringify({
    methods: [...parts.methods.keys()],
    events,
    capabilities: ["published-model-catalog"],
  });

  /** The answer to `connect`, as JSON. */
  function hello(subscriber: Subscriber): string {
    const { principal } = subscriber;
    const { deviceId, role } = principal;
    const [own, ...others] = deviceId === undefined ? [] : parts.devices.tokens(deviceId, role);
    const more = JSON.stringify({
      server: { version: parts.version, connId: subscriber.id },
      snapshot: parts.snapshot(principal),
      auth: {
        role,
        scopes: principal.scopes,
        method: principal.method,
        ...(own ? { deviceToken: own.token.reveal(), issuedAtMs: own.issuedAtMs } : {}),
        // A setup code may have paired it as an operator too, with a token of its own for that.
        ...(principal.method === "bootstrap-token" && others.length > 0
          ? { deviceTokens: others.map(({ token, ...other }) => ({ deviceToken: token.reveal(), ...other })) }
          : {}),
      },
      policy: {
        maxPayload: maxPayloadBytes,
        maxBufferedBytes,
        tickIntervalMs,
        attachments: attachmentLimits,
      },
    });
    return `{"type":"hello-ok","protocol":${protocolVersion},"features":${featuresJson},${more.slice(1)}`;
  }

  return hello;
}
