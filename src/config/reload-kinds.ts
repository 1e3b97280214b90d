/** What a changed setting takes: nothing, applying it to the running gateway, or a restart. */
export type ReloadKind = "none" | "hot" | "restart";

/** By the longest prefix; what is not listed takes a restart, because nobody has shown that less is enough. */
export const reloadKinds: { readonly [prefix: string]: ReloadKind } = {
  $schema: "none",
  meta: "none",
  wizard: "none",
  ui: "none",

  accessGroups: "hot",
  agents: "hot",
  approvals: "hot",
  attachments: "hot",
  "auth.order": "hot",
  "auth.profiles": "hot",
  bindings: "hot",
  broadcast: "hot",
  channels: "hot",
  commands: "hot",
  cron: "hot",
  hooks: "hot",
  logging: "hot",
  mcp: "hot",
  messages: "hot",
  models: "hot",
  plugins: "hot",
  "secrets.defaults": "hot",
  "secrets.providers": "hot",
  "security.audit": "hot",
  session: "hot",
  skills: "hot",
  tools: "hot",

  "discovery.mdns.mode": "hot",
  "gateway.allowRealIpFallback": "hot",
  "gateway.auth.allowTailscale": "hot",
  "gateway.auth.identityScopes": "hot",
  "gateway.auth.password": "hot",
  "gateway.auth.rateLimit": "hot",
  "gateway.auth.token": "hot",
  "gateway.auth.trustedProxy": "hot",
  "gateway.controlUi": "hot",
  "gateway.controlUi.basePath": "restart",
  "gateway.controlUi.root": "restart",
  "gateway.http.endpoints": "hot",
  "gateway.http.securityHeaders": "hot",
  "gateway.nodes": "hot",
  "gateway.reload": "hot",
  "gateway.remote": "none",
  "gateway.roles": "hot",
  "gateway.terminal": "hot",
  "gateway.tools": "hot",
  "gateway.trustedProxies": "hot",

  // Programs that are judged and programs that run are found in the same folders.
  "tools.exec.pathPrepend": "restart",
};

export function reloadKind(path: readonly (string | number)[]): ReloadKind {
  for (let length = path.length; length > 0; length--) {
    const prefix = path.slice(0, length).join(".");
    if (Object.hasOwn(reloadKinds, prefix)) return reloadKinds[prefix] ?? "restart";
  }
  return "restart";
}
