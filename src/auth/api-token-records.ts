import { InputError, schema } from "../kernel/mod.ts";

const { array, integer, object, optional, string } = schema;

const word = string({ minLength: 1, maxLength: 200 });
const words = array(word, { maxItems: 200 });
const time = integer({ minimum: 0 });

// Closed: a limit whose name is misspelt must not read as "no limit".
const tokenSchema = object({
  id: string({ pattern: "^[0-9a-f]{12}$" }),
  name: string({ minLength: 1, maxLength: 64 }),
  /** Hex SHA-256 of the secret part; the secret itself is nowhere. */
  hash: string({ pattern: "^[0-9a-f]{64}$" }),
  scopes: words,
  methods: optional(words),
  except: optional(words),
  tools: optional(words),
  agents: optional(words),
  channels: optional(words),
  createdAtMs: time,
  /** Who made it: "cli", "operator", "browser:...", "device:...", "token:<id>". */
  createdBy: word,
  expiresAtMs: optional(time),
  lastUsedAtMs: optional(time),
});

export type ApiTokenRecord = schema.Static<typeof tokenSchema>;

const file = object({ version: integer({ minimum: 1, maximum: 1 }), tokens: array(tokenSchema) });

/** The tokens of api-tokens.json, by id. Throws an InputError for any other shape: guessing could admit somebody. */
export function parseApiTokens(value: unknown): Map<string, ApiTokenRecord> {
  if (value === undefined) return new Map();
  const [problem] = schema.check(file, value);
  if (problem)
    throw new InputError(
      `api-tokens.json has an unknown shape; expected {"version": 1, "tokens": [...]} (${schema.problemText(problem)})`,
    );
  const { tokens } = value as schema.Static<typeof file>;
  const map = new Map(tokens.map((item) => [item.id, item]));
  // With two entries of one token, removing one by hand would seem to revoke it and would not.
  if (map.size !== tokens.length) throw new InputError("api-tokens.json lists one id twice; remove one");
  return map;
}

/** `oc_<id>_<secret>`: leak scanners find it by its shape, and it is looked up by its id. */
const shape = /^oc_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** The parts of a text that has an API token's shape; undefined for any other text. */
export function apiTokenParts(text: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = shape.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}
