/** The published client and validators of the existing system, against our gateway. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { GatewayClient } from "@openclaw/gateway-client";
import { ProtocolSchemas } from "@openclaw/gateway-protocol/schema";
import { Value } from "typebox/value";
import { TestDevice } from "../support/device.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";

interface Event {
  readonly event: string;
  readonly payload?: unknown;
  readonly seq?: number;
}

/** A published client that is connected, and every event that it was sent. */
async function connected(context: TestContext, port: number) {
  const seen: Event[] = [];
  const waiting = new Set<() => void>();
  const hello = Promise.withResolvers<unknown>();
  const client = new GatewayClient({
    url: `ws://127.0.0.1:${port}`,
    token: gatewayToken,
    minProtocol: 4,
    maxProtocol: 4,
    scopes: ["operator.admin", "operator.read", "operator.write", "operator.approvals"],
    caps: ["approvals"],
    onHelloOk: (payload) => hello.resolve(payload),
    onConnectError: (error) => hello.reject(error),
    onEvent: (event) => {
      seen.push(event as Event);
      for (const look of waiting) look();
    },
  });
  context.after(() => client.stop());
  client.start();
  await hello.promise;
  const until = (fits: (event: Event) => boolean) =>
    new Promise<Event>((resolve) => {
      const look = () => {
        const found = seen.find(fits);
        if (!found) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  return { client, seen, until };
}

/** Fails with what the published schema does not accept. */
function assertValid(name: keyof typeof ProtocolSchemas, value: unknown): void {
  const problems = Value.Errors(ProtocolSchemas[name], value).map(
    (problem) => `${problem.instancePath} ${problem.message}`,
  );
  assert.deepEqual(problems, [], `${name}: ${JSON.stringify(value)}`);
}

function chatState(event: Event, runId: string): string | undefined {
  const payload = event.payload as { runId?: string; state?: string } | undefined;
  return event.event === "chat" && payload?.runId === runId ? payload.state : undefined;
}

test("control (wire): the published client connects, chats and reads what it is sent as valid", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const { client, seen, until } = await connected(context, gateway.port);
  const idempotencyKey = randomUUID();
  const sent = (await client.request("chat.send", {
    sessionKey: "main",
    message: "hello",
    idempotencyKey,
  })) as { runId: string };
  assert.equal(sent.runId, idempotencyKey);
  const final = await until((event) => chatState(event, idempotencyKey) === "final");
  assert.match(JSON.stringify(final.payload), /\[demo model\]/);
  for (const event of seen) {
    assertValid("EventFrame", { type: "event", ...event });
    if (event.event === "chat") assertValid("ChatEvent", event.payload);
  }
  assertValid("ModelsListResult", await client.request("models.list", {}));
  assertValid("AgentsListResult", await client.request("agents.list", {}));
  assertValid("ChannelsStatusResult", await client.request("channels.status", {}));
  assertValid("LogsTailResult", await client.request("logs.tail", {}));
});

test("control (wire): the published client follows an approval and answers it", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const { client, until } = await connected(context, gateway.port);
  const idempotencyKey = randomUUID();
  await client.request("chat.send", {
    sessionKey: "main",
    message: "run `curl http://127.0.0.1:1/`",
    idempotencyKey,
  });
  const asked = await until((event) => event.event === "exec.approval.requested");
  const { id } = asked.payload as { id: string };
  assert.deepEqual(await client.request("exec.approval.resolve", { id, decision: "deny" }), { ok: true });
  const final = await until((event) => chatState(event, idempotencyKey) === "final");
  assert.match(JSON.stringify(final.payload), /refused|approval_denied/);
});

test("control (wire): the numbers of events have no gap for the published client", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const { client, seen, until } = await connected(context, gateway.port);
  for (const idempotencyKey of [randomUUID(), randomUUID()]) {
    await client.request("chat.send", { sessionKey: "main", message: "hello", idempotencyKey });
    await until((event) => chatState(event, idempotencyKey) === "final");
  }
  const numbers = seen.map((event) => event.seq).filter((seq) => seq !== undefined);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
});

test("control (wire): the published client runs as a node, is approved, and is invoked by the published client", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const { client: operator, until } = await connected(context, gateway.port);
  const device = new TestDevice();
  const approved = Promise.withResolvers<void>();
  const hello = Promise.withResolvers<unknown>();
  const node = new GatewayClient({
    url: `ws://127.0.0.1:${gateway.port}`,
    token: gatewayToken,
    minProtocol: 4,
    maxProtocol: 4,
    role: "node",
    mode: "node",
    clientName: "node-host",
    platform: "linux",
    scopes: [],
    caps: ["system"],
    commands: ["system.which"],
    deviceIdentity: device.identity,
    hostDeps: device.hostDeps,
    onHelloOk: (payload) => hello.resolve(payload),
    onConnectError: (error) => hello.reject(error),
    onEvent: ({ event, payload }) => {
      if (event === "node.pair.resolved") approved.resolve();
      if (event !== "node.invoke.request") return;
      assertValid("NodeInvokeRequestEvent", payload);
      const { id, nodeId } = payload as { id: string; nodeId: string };
      void node.request("node.invoke.result", { id, nodeId, ok: true, payloadJSON: '{"bins":{}}' });
    },
  });
  context.after(() => node.stop());
  node.start();
  await hello.promise;
  const requested = await until((event) => event.event === "node.pair.requested");
  const { requestId } = requested.payload as { requestId: string };
  await operator.request("node.pair.approve", { requestId });
  await approved.promise;
  const answer = await operator.request("node.invoke", {
    nodeId: device.id,
    command: "system.which",
    params: { bins: [] },
    idempotencyKey: randomUUID(),
  });
  assert.deepEqual(answer, {
    ok: true,
    nodeId: device.id,
    command: "system.which",
    payload: { bins: {} },
    payloadJSON: '{"bins":{}}',
  });
});
