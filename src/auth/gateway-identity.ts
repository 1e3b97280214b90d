import { createHash, createHmac, createPrivateKey, createPublicKey } from "node:crypto";
import type { Secret } from "../kernel/mod.ts";
import type { ProvedDevice } from "./device.ts";

/** The gateway's own Ed25519 identity, of the same form as a device's: the same for the life of its state folder. */
export function gatewayIdentity(installationKey: Secret): ProvedDevice {
  const seed = createHmac("sha256", installationKey.reveal()).update("gateway-identity").digest();
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  const key = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: "der", type: "pkcs8" });
  const raw = createPublicKey(key).export({ type: "spki", format: "der" }).subarray(12);
  return {
    deviceId: createHash("sha256").update(raw).digest("hex"),
    publicKey: raw.toString("base64url"),
  };
}
