import type { OpenClawConfig } from "../config/mod.ts";
import type { SsrfSettings } from "../policy/mod.ts";

const noPrivateNetwork = {
  dangerouslyAllowPrivateNetwork: false,
  allowRfc2544BenchmarkRange: false,
  allowIpv6UniqueLocalRange: false,
};

/** web_search goes to the service that the operator named, wherever that is, and nowhere else. */
export function ssrfSettings(config: OpenClawConfig, tool: string): SsrfSettings {
  const { fetch, search } = config.tools?.web ?? {};
  const policySection = fetch?.ssrfPolicy;
  if (tool === "web_search")
    return {
      ...noPrivateNetwork,
      blockedHostnames: policySection?.blockedHostnames ?? [],
      allowedHostnames: search?.baseUrl === undefined ? [] : [hostAndPort(search.baseUrl)],
    };
  return {
    ...(fetch?.allowlist === undefined ? {} : { onlyHostnames: fetch.allowlist }),
    dangerouslyAllowPrivateNetwork: policySection?.dangerouslyAllowPrivateNetwork ?? false,
    allowedHostnames: policySection?.allowedHostnames ?? [],
    blockedHostnames: policySection?.blockedHostnames ?? [],
    allowRfc2544BenchmarkRange: policySection?.allowRfc2544BenchmarkRange ?? false,
    allowIpv6UniqueLocalRange: policySection?.allowIpv6UniqueLocalRange ?? false,
  };
}

/** As an entry of allowedHostnames that means this one port. */
function hostAndPort(baseUrl: string): string {
  const url = URL.parse(baseUrl);
  return url ? `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}` : "";
}
