import { type Schema, type Static, schema as s } from "../../kernel/mod.ts";

/** A closed object whose members may each be absent, but for `required`: the shape of nearly every part of the config. */
export function section<
  const M extends { readonly [name: string]: Schema },
  R extends keyof M & string = never,
>(
  members: M,
  more: { readonly description?: string; readonly required?: readonly R[] } = {},
): Schema<Section<M, R>> {
  return { type: "object", properties: members, additionalProperties: false, ...more };
}

type Section<M extends { readonly [name: string]: Schema }, R extends keyof M> = {
  readonly [K in Exclude<keyof M, R>]?: Static<M[K]>;
} & {
  readonly [K in R]: Static<M[K]>;
};

/** A map from names of the user's choice (ids, channels, hosts) to sections. */
export function named<T>(values: Schema<T>): Schema<{ readonly [name: string]: T }> {
  return s.record(values);
}

/** A part whose keys we do not read and the published documentation does not close: any keys pass. */
export function unread(description: string): Schema<{ readonly [key: string]: unknown }> {
  return s.record(s.any(), { description });
}

/** Where a secret is kept instead of in the file. */
export const secretRef = s.object({
  source: s.oneOf(["env", "file", "exec", "store"]),
  provider: s.optional(s.string({ pattern: "^[a-z][a-z0-9_-]{0,63}$" })),
  id: s.string({ minLength: 1, maxLength: 1024 }),
});

/** A secret written out, as `${NAME}`, or as a reference. */
export const secret = s.union([s.string(), secretRef]);

export const strings = s.array(s.string());

/** Platform ids: people write numeric ones without quotes. */
export const identity = s.union([s.string({ minLength: 1 }), s.integer()]);
export const identities = s.array(identity);

export const milliseconds = s.integer({ minimum: 0 });
export const seconds = s.number({ minimum: 0 });
export const count = s.integer({ minimum: 0 });
export const port = s.integer({ minimum: 1, maximum: 65535 });
/** "30m", "24h", "7d"; a bare number is read in the unit that the key documents. */
export const duration = s.union([
  s.string({ pattern: "^\\d+(\\.\\d+)?\\s*(ms|s|m|h|d|w)?$" }),
  s.number({ minimum: 0 }),
]);
/** "10gb", "80%", or bytes. */
export const size = s.union([
  s.string({ pattern: "^\\d+(\\.\\d+)?\\s*(b|kb|mb|gb|tb|%|B|KB|MB|GB|TB)?$" }),
  s.number({ minimum: 0 }),
]);
export const httpUrl = s.string({ pattern: "^https?://" });
