import type { OpenClawConfig } from "../config/mod.ts";
import type { NodeSettings } from "./command-policy.ts";

/** gateway.nodes.commands. */
export function nodeSettings(config: OpenClawConfig): NodeSettings {
  const { allow = [], deny = [] } = config.gateway?.nodes?.commands ?? {};
  return Object.freeze({ allow, deny });
}
