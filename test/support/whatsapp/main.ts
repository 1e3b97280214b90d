/** Loaded before a gateway of a test: the library that the operator would add is a stand-in. */
import { registerHooks } from "node:module";

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "baileys"
      ? { url: new URL("./remote-library.ts", import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
});
