import { join } from "node:path";

/**
 * What tests start. The whole suite names the bundle, which it has just built: it starts in a third of the time. A file
 * that is run by itself takes the source, which cannot be out of date.
 */
export const programFile =
  process.env.OPENCLAW_TEST_PROGRAM ?? join(import.meta.dirname, "..", "..", "src", "main.ts");
