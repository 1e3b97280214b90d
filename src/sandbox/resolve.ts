import { lookup } from "node:dns/promises";
import type { Resolve } from "./web-address.ts";

/** Asks what this host asks (hosts file, then DNS). The answer is judged by whoever asked. */
export const systemResolve: Resolve = async (hostname) => {
  const answers = await lookup(hostname, { all: true, verbatim: true });
  return answers.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
};
