import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { object, open, optional, string } = schema;

/** config.set, config.apply, config.schema.lookup, secrets.reload. */
export function configDocumentMethods(parts: ControlParts): Method[] {
  const whole = ["config.set", "config.apply"].map((name) =>
    method({
      name,
      scope: "operator.admin",
      maxBytes: 4_194_304,
      perMinute: 30,
      params: open(
        object({
          raw: string({ minLength: 1 }),
          baseHash: optional(string()),
          note: optional(string()),
        }),
      ),
      admin: (params) => ({
        action: name,
        facts: {
          bytes: params.raw.length,
          ...(params.note === undefined ? {} : { note: params.note.slice(0, 200) }),
        },
      }),
      run: (params) => parts.config.replace(params.raw, params.baseHash),
    }),
  );
  return [
    ...whole,
    method({
      name: "config.schema.lookup",
      scope: "operator.read",
      params: open(object({ path: string({ minLength: 1, maxLength: 512 }) })),
      run: (params) => lookup(parts, params.path),
    }),
    method({
      name: "secrets.reload",
      scope: "operator.admin",
      params: open(object({})),
      admin: () => ({ action: "secrets.reload" }),
      run: async () => {
        // Secrets come from the config, the environment and what references lead to: all are read again.
        const problems = await parts.config.reload();
        if (problems.length > 0)
          throw new MethodError(
            unavailable(`what was in force before stays in force: ${problems.join("; ")}`, {
              code: "SECRETS_RELOADER_DEGRADED",
            }),
          );
        return { ok: true, warningCount: 0 };
      },
    }),
  ];
}

function lookup(parts: ControlParts, path: string) {
  const words = path.split(/[.[\]]+/).filter((word) => word !== "" && word !== '"');
  let node = parts.config.schema() as schema.Schema | undefined;
  for (const word of words) node = node === undefined ? undefined : memberOf(node, word);
  if (node === undefined || words.length === 0) {
    throw new MethodError(
      invalid(`config schema path not found: ${JSON.stringify(path)}; write it like gateway.auth.token`),
    );
  }
  const { properties = {}, required = [] } = objectIn(node) ?? {};
  const { properties: _properties, ...rest } = node;
  return {
    path,
    schema: rest,
    reloadKind: parts.config.reloadKind(words),
    children: Object.entries(properties).map(([key, child]) => ({
      key,
      path: `${path}.${key}`,
      ...(child.type === undefined ? {} : { type: child.type }),
      required: required.includes(key),
      hasChildren: objectIn(child) !== undefined,
      reloadKind: parts.config.reloadKind([...words, key]),
    })),
  };
}

/** The schema of a member or element; the first alternative that has one. */
function memberOf(node: schema.Schema, word: string): schema.Schema | undefined {
  if (node.properties && Object.hasOwn(node.properties, word)) return node.properties[word];
  if (typeof node.additionalProperties === "object") return node.additionalProperties;
  if (node.items && (/^\d+$/.test(word) || word === "*")) return node.items;
  for (const alternative of node.anyOf ?? []) {
    const found = memberOf(alternative, word);
    if (found) return found;
  }
  return undefined;
}

function objectIn(node: schema.Schema): schema.Schema | undefined {
  if (node.properties) return node;
  return node.anyOf?.find((alternative) => alternative.properties !== undefined);
}
