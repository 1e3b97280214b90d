import { InputError, schema } from "../kernel/mod.ts";

const { array, boolean, integer, object, oneOf, open, optional, record, string } = schema;

const word = string({ minLength: 1, maxLength: 512 });
const time = integer({ minimum: 0 });
const surface = { caps: array(word), commands: array(word), permissions: record(boolean()) };

const approvedSchema = open(
  object({ ...surface, approvedAtMs: time, approvedVia: oneOf(["owner", "setup-code"]) }),
);
const pendingSchema = open(
  object({ ...surface, requestId: string({ pattern: "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$" }), ts: time }),
);

const nodeSchema = open(
  object({
    nodeId: string({ pattern: "^[0-9a-f]{64}$" }),
    /** When the device was paired: a device that was removed and came back does not get what the old one had. */
    pairedAtMs: time,
    version: optional(word),
    approved: optional(approvedSchema),
    pending: optional(pendingSchema),
  }),
);

/** What one paired node may be asked for, and what it asks to be allowed. */
export type NodeRecord = schema.Static<typeof nodeSchema>;
export type PendingSurface = schema.Static<typeof pendingSchema>;

const fileSchema = open(object({ nodes: array(nodeSchema) }));

/** The nodes of surfaces.json, by id. Throws an InputError for any other shape: guessing could allow a command. */
export function parseSurfaces(value: unknown): Map<string, NodeRecord> {
  if (value === undefined) return new Map();
  const [problem] = schema.check(fileSchema, value);
  if (problem)
    throw new InputError(
      `surfaces.json has an unknown shape; expected {"nodes": [...]} (${schema.problemText(problem)})`,
    );
  const { nodes } = value as schema.Static<typeof fileSchema>;
  const map = new Map(nodes.map((node) => [node.nodeId, node]));
  // With two entries of one node, taking a command out by hand would seem to revoke it and would not.
  if (map.size !== nodes.length) throw new InputError("surfaces.json lists one nodeId twice; remove one");
  return map;
}
