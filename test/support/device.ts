import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { GatewayProcess } from "./gateway.ts";
import type { Answer, GatewayClient } from "./gateway-client.ts";

/** A device's key pair, as a client of the existing system keeps it. */
export class TestDevice {
  readonly id: string;
  readonly publicKey: string;
  readonly publicKeyPem: string;
  readonly privateKeyPem: string;
  readonly #key: KeyObject;

  constructor() {
    const pair = generateKeyPairSync("ed25519");
    const raw = pair.publicKey.export({ type: "spki", format: "der" }).subarray(12);
    this.id = createHash("sha256").update(raw).digest("hex");
    this.publicKey = raw.toString("base64url");
    this.publicKeyPem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
    this.privateKeyPem = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    this.#key = pair.privateKey;
  }

  sign(text: string): string {
    return sign(null, Buffer.from(text), this.#key).toString("base64url");
  }

  /** What the published client needs of its host. */
  get hostDeps() {
    return {
      signDevicePayload: (pem: string, payload: string) =>
        sign(null, Buffer.from(payload), createPrivateKey(pem)).toString("base64url"),
      publicKeyRawBase64UrlFromPem: () => this.publicKey,
    };
  }

  get identity() {
    return { deviceId: this.id, privateKeyPem: this.privateKeyPem, publicKeyPem: this.publicKeyPem };
  }

  /** The parameters of `connect` for this challenge. */
  params(nonce: string, options: DeviceConnect): Record<string, unknown> {
    const client = {
      id: options.clientId ?? "cli",
      version: "1.0.0",
      platform: options.platform ?? "linux",
      mode: options.mode ?? "cli",
      ...(options.displayName === undefined ? {} : { displayName: options.displayName }),
    };
    const role = options.role ?? "operator";
    const scopes = options.scopes ?? [];
    const auth = options.auth ?? {};
    const signedAt = options.signedAt ?? Date.now();
    const token = auth.token ?? auth.deviceToken ?? auth.bootstrapToken ?? "";
    const text = [
      "v3",
      this.id,
      client.id,
      client.mode,
      role,
      scopes.join(","),
      signedAt,
      token,
      nonce,
      client.platform.toLowerCase(),
      "",
    ].join("|");
    return {
      minProtocol: options.protocol ?? 4,
      maxProtocol: options.protocol ?? 4,
      client,
      role,
      scopes,
      caps: options.caps ?? [],
      ...(options.commands === undefined ? {} : { commands: options.commands }),
      ...(options.permissions === undefined ? {} : { permissions: options.permissions }),
      auth,
      device: { id: this.id, publicKey: this.publicKey, signature: this.sign(text), signedAt, nonce },
    };
  }

  /** One try to connect: the socket, and the answer to `connect`. */
  async connect(
    gateway: GatewayProcess,
    options: DeviceConnect,
  ): Promise<{ readonly client: GatewayClient; readonly answer: Answer }> {
    const client = await gateway.socket();
    const answer = await client.ask("connect", this.params(nonceOf(client), options));
    return { client, answer };
  }
}

/** Of the socket's challenge, which came before anything else. */
export function nonceOf(client: GatewayClient): string {
  return client.events.find((event) => event.event === "connect.challenge")?.payload.nonce;
}

export interface DeviceConnect {
  readonly auth?: {
    readonly token?: string;
    readonly deviceToken?: string;
    readonly bootstrapToken?: string;
    readonly password?: string;
  };
  readonly role?: string;
  readonly scopes?: readonly string[];
  readonly platform?: string;
  readonly clientId?: string;
  readonly mode?: string;
  readonly displayName?: string;
  readonly signedAt?: number;
  readonly caps?: readonly string[];
  readonly commands?: readonly string[];
  readonly permissions?: Readonly<Record<string, boolean>>;
  readonly protocol?: number;
}
