import { schema as s } from "../../kernel/mod.ts";
import { count, httpUrl, milliseconds, named, port, seconds, secret, section, strings } from "./section.ts";

export const operatorScopes = [
  "operator.read",
  "operator.write",
  "operator.admin",
  "operator.pairing",
  "operator.approvals",
  "operator.questions",
  "operator.talk",
  "operator.talk.secrets",
] as const;

const scopes = s.array(s.oneOf(operatorScopes));

const auth = section({
  mode: s.oneOf(["none", "token", "password", "trusted-proxy"]),
  token: secret,
  password: secret,
  allowTailscale: s.boolean(),
  identityScopes: named(scopes),
  rateLimit: section({
    maxAttempts: s.integer({ minimum: 1, default: 10 }),
    windowMs: s.integer({ minimum: 1, default: 60_000 }),
    lockoutMs: s.integer({ minimum: 0, default: 300_000 }),
    exemptLoopback: s.boolean({ default: true }),
  }),
  trustedProxy: section({
    userHeader: s.string({ minLength: 1 }),
    requiredHeaders: strings,
    allowUsers: strings,
    allowLoopback: s.boolean({ default: false }),
    deviceAutoApprove: section({ enabled: s.boolean({ default: false }), scopes }),
    // Ours: a signed assertion instead of a header that anybody could write.
    assertion: section(
      {
        provider: s.oneOf(["cloudflare", "iap", "pomerium"]),
        audience: s.string({ minLength: 1 }),
        issuer: s.string({ minLength: 1 }),
        jwksUrl: s.string({ pattern: "^https://" }),
      },
      { required: ["provider", "audience"] },
    ),
  }),
});

const mimes = s.array(s.string({ pattern: "^[\\w.+-]+/[\\w.+*-]+$" }));
const images = section({
  allowUrl: s.boolean(),
  urlAllowlist: strings,
  allowedMimes: mimes,
  maxBytes: count,
  maxRedirects: count,
  timeoutMs: milliseconds,
});

const http = section({
  allowSessionKeyOverride: s.boolean(),
  endpoints: section({
    chatCompletions: section({
      enabled: s.boolean({ default: false }),
      maxBodyBytes: count,
      maxImageParts: count,
      maxTotalImageBytes: count,
      images,
    }),
    responses: section({
      enabled: s.boolean({ default: false }),
      maxBodyBytes: count,
      maxUrlParts: count,
      files: section({
        allowUrl: s.boolean(),
        urlAllowlist: strings,
        allowedMimes: mimes,
        maxBytes: count,
        maxChars: count,
        maxRedirects: count,
        timeoutMs: milliseconds,
        pdf: section({ maxPages: count, maxPixels: count, minTextChars: count }),
      }),
      images,
    }),
  }),
  securityHeaders: section({ strictTransportSecurity: s.union([s.string(), s.oneOf([false])]) }),
});

const roles = s.object({
  default: s.string({ minLength: 1 }),
  definitions: named(
    section({
      sessions: section({ others: s.oneOf(["none", "view", "suggest", "write"]) }),
      agents: s.union([s.oneOf(["*"]), strings]),
      scopes,
      sandbox: s.oneOf(["inherit", "required"]),
      accessPolicyPlugin: s.string(),
    }),
  ),
});

const nodes = section({
  pairing: section({
    autoApproveLocal: s.boolean({ default: true }),
    autoApproveCidrs: strings,
    sshVerify: s.union([
      s.boolean(),
      section({ user: s.string(), identity: s.string(), timeoutMs: milliseconds, cidrs: strings }),
    ]),
  }),
  commands: section({ allow: strings, deny: strings }),
  pluginTools: section({ enabled: s.boolean({ default: true }) }),
  allowSkills: s.boolean({ default: true }),
  browser: section({ mode: s.oneOf(["auto", "manual", "off"]), node: s.string() }),
});

const controlUi = section({
  enabled: s.boolean({ default: true }),
  basePath: s.string(),
  root: s.string(),
  allowedOrigins: strings,
  dangerouslyAllowHostHeaderOriginFallback: s.boolean({ default: false }),
  embedSandbox: s.oneOf(["strict", "scripts", "trusted"]),
  allowExternalEmbedUrls: s.boolean(),
  environment: section({ label: s.string({ minLength: 1, maxLength: 24 }), color: s.string() }),
  // Retired and without effect; older files still hold them.
  allowInsecureAuth: s.boolean(),
  dangerouslyDisableDeviceAuth: s.boolean(),
});

export const gateway = section({
  mode: s.oneOf(["local", "remote"]),
  port,
  bind: s.oneOf(["auto", "loopback", "lan", "tailnet", "custom"]),
  customBindHost: s.string({ pattern: "^(\\d{1,3}\\.){3}\\d{1,3}$" }),
  publicOrigin: s.string({
    pattern: "^(https://[^/?#@\\s]+|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:\\d+)?)/?$",
  }),
  auth,
  trustedProxies: strings,
  allowRealIpFallback: s.boolean({ default: false }),
  roles,
  tailscale: section({
    mode: s.oneOf(["off", "serve", "funnel"]),
    resetOnExit: s.boolean(),
    // Retired; accepted so that older files load.
    serviceName: s.string(),
    preserveFunnel: s.boolean(),
  }),
  controlUi,
  terminal: section({
    enabled: s.boolean({ default: true }),
    shell: s.string(),
    detachedSessionTimeoutSeconds: seconds,
  }),
  remote: section({
    url: s.string({ pattern: "^wss?://" }),
    transport: s.oneOf(["ssh", "direct"]),
    token: secret,
    password: secret,
    tlsFingerprint: s.string(),
    sshTarget: s.string(),
    sshIdentity: s.string(),
    remotePort: port,
    sshHostKeyPolicy: s.oneOf(["strict", "openssh"]),
  }),
  tools: section({ allow: strings, deny: strings }),
  http,
  tls: section({
    enabled: s.boolean({ default: false }),
    autoGenerate: s.boolean({ default: true }),
    certPath: s.string(),
    keyPath: s.string(),
    caPath: s.string(),
  }),
  reload: section({
    mode: s.oneOf(["hybrid", "off", "hot", "restart"]),
    debounceMs: milliseconds,
  }),
  nodes,
  push: section({ apns: section({ relay: section({ baseUrl: httpUrl, timeoutMs: milliseconds }) }) }),
  // The health monitor's pace.
  channelHealthCheckMinutes: count,
});

export const discovery = section({
  mdns: section({ mode: s.oneOf(["minimal", "full", "off"]) }),
  wideArea: section({ enabled: s.boolean(), domain: s.string() }),
});
