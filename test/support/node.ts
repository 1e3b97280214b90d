import { randomUUID } from "node:crypto";
import { type DeviceConnect, TestDevice } from "./device.ts";
import { type GatewayProcess, gatewayToken } from "./gateway.ts";
import type { GatewayClient, Payload } from "./gateway-client.ts";

/** A node that does what a test says. */
export class TestNode {
  readonly device: TestDevice;
  readonly client: GatewayClient;
  readonly hello: Payload;

  private constructor(device: TestDevice, client: GatewayClient, hello: Payload) {
    this.device = device;
    this.client = client;
    this.hello = hello;
  }

  get id(): string {
    return this.device.id;
  }

  /** Connects as a node that declares these commands. */
  static async connect(
    gateway: GatewayProcess,
    commands: readonly string[],
    options: DeviceConnect & { readonly device?: TestDevice } = {},
  ): Promise<TestNode> {
    const device = options.device ?? new TestDevice();
    const { client, answer } = await device.connect(gateway, {
      auth: { token: gatewayToken },
      role: "node",
      clientId: "node-host",
      mode: "node",
      commands,
      ...options,
    });
    if (!answer.ok) throw new Error(JSON.stringify(answer.error));
    return new TestNode(device, client, answer.payload);
  }

  /** What waits for approval of this node, once the gateway has noted it: the nth that it asked for. */
  static async pendingOf(operator: GatewayClient, nodeId: string, nth = 0): Promise<Payload> {
    const asked = () =>
      operator.events.filter(
        ({ event, payload }) => event === "node.pair.requested" && payload.nodeId === nodeId,
      );
    return (await operator.waitFor((event) => event === asked()[nth])).payload;
  }

  /** The nth request that came, now or later. */
  async request(nth = 0): Promise<Payload> {
    const asked = () => this.client.events.filter((event) => event.event === "node.invoke.request");
    return (await this.client.waitFor((event) => event === asked()[nth])).payload;
  }

  requests(): readonly Payload[] {
    return this.client.events
      .filter((event) => event.event === "node.invoke.request")
      .map((event) => event.payload);
  }

  answer(id: string, payload: unknown): Promise<Payload> {
    return this.client.rpc("node.invoke.result", {
      id,
      nodeId: this.id,
      ok: true,
      payloadJSON: JSON.stringify(payload),
    });
  }
}

export function invokeParams(node: TestNode, command: string, more: Payload = {}): Payload {
  return { nodeId: node.id, command, idempotencyKey: randomUUID(), ...more };
}
