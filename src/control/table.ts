import type { Method } from "./method.ts";
import { chatMethods } from "./methods/chat.ts";
import { operationMethods } from "./methods/operations.ts";
import { sessionMethods } from "./methods/sessions.ts";
import { type Health, systemMethods } from "./methods/system.ts";
import type { ControlParts } from "./parts.ts";
import type { SessionNames } from "./session-names.ts";

/** Every method there is, by name: the one table behind dispatch, hello-ok and the tests. */
export function methodTable(
  parts: ControlParts,
  names: SessionNames,
): { readonly methods: ReadonlyMap<string, Method>; readonly health: () => Health } {
  const system = systemMethods(parts);
  const rows = [
    ...system.methods,
    ...chatMethods(parts, names),
    ...sessionMethods(parts, names),
    ...operationMethods(parts),
  ];
  const methods = new Map(rows.map((row) => [row.name, row]));
  if (methods.size !== rows.length) throw new Error("two rows of the method table have one name");
  return { methods, health: system.health };
}
