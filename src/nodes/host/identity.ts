import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { InputError, schema } from "../../kernel/mod.ts";

const { open, object, string } = schema;

/** Who this node is: an Ed25519 key that never leaves its file. */
export interface NodeIdentity {
  /** Lower-case hex SHA-256 of the raw public key. */
  readonly deviceId: string;
  /** The raw 32 bytes in base64url. */
  readonly publicKey: string;
  sign(text: string): string;
}

export interface IdentityFile {
  read(): Promise<unknown>;
  write(value: unknown): Promise<void>;
}

const stored = open(object({ privateKeyPem: string({ minLength: 1, maxLength: 4096 }) }));

/** The identity of the file; made, and written, when there is none. Throws an InputError for a broken file. */
export async function openIdentity(file: IdentityFile): Promise<NodeIdentity> {
  const value = await file.read();
  if (value === undefined) {
    const { privateKey } = generateKeyPairSync("ed25519");
    const identity = identityOf(privateKey);
    await file.write({
      version: 1,
      deviceId: identity.deviceId,
      publicKey: identity.publicKey,
      privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
    });
    return identity;
  }
  if (schema.check(stored, value).length > 0) throw broken();
  let key: KeyObject;
  try {
    key = createPrivateKey((value as { readonly privateKeyPem: string }).privateKeyPem);
  } catch {
    throw broken();
  }
  if (key.asymmetricKeyType !== "ed25519") throw broken();
  return identityOf(key);
}

function identityOf(key: KeyObject): NodeIdentity {
  const raw = createPublicKey(key).export({ type: "spki", format: "der" }).subarray(12);
  return {
    deviceId: createHash("sha256").update(raw).digest("hex"),
    publicKey: raw.toString("base64url"),
    sign: (text) => sign(null, Buffer.from(text, "utf8"), key).toString("base64url"),
  };
}

function broken(): InputError {
  return new InputError(
    "identity.json of the node holds no Ed25519 key; put the right file back, or remove it to be another node",
  );
}
