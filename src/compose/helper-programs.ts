import type { HelperDeps, HelperPrograms } from "../sandbox/mod.ts";

/** The sandbox's launcher of helpers, which comes with all that runs commands: loaded with the first helper. */
export function lendHelperPrograms(deps: HelperDeps): HelperPrograms {
  let loading: Promise<HelperPrograms> | undefined;
  function load(): Promise<HelperPrograms> {
    loading ??= import("../sandbox/mod.ts").then(({ createHelperPrograms }) => createHelperPrograms(deps));
    return loading;
  }
  return {
    start: async (...order) => (await load()).start(...order),
    run: async (...order) => (await load()).run(...order),
    exchange: async (...order) => (await load()).exchange(...order),
    talk: async (...order) => (await load()).talk(...order),
  };
}
