import type { OpenClawConfig } from "../config/mod.ts";

type Gateway = NonNullable<OpenClawConfig["gateway"]>;
type Auth = NonNullable<Gateway["auth"]>;

/** What the command line says of one run; it goes before the config file, also after a reload, and is not written there. */
export interface RunOverrides {
  readonly bind?: NonNullable<Gateway["bind"]>;
  readonly authMode?: NonNullable<Auth["mode"]>;
  readonly token?: string;
  readonly password?: string;
  readonly tailscale?: NonNullable<NonNullable<Gateway["tailscale"]>["mode"]>;
}

export function withOverrides(config: OpenClawConfig, overrides: RunOverrides): OpenClawConfig {
  const { bind, authMode, token, password, tailscale } = overrides;
  const { gateway } = config;
  // A secret that was given says which kind it is, unless the mode was given too.
  const mode = authMode ?? (password !== undefined ? "password" : token !== undefined ? "token" : undefined);
  return {
    ...config,
    gateway: {
      ...gateway,
      ...(bind === undefined ? {} : { bind }),
      auth: {
        ...gateway?.auth,
        ...(mode === undefined ? {} : { mode }),
        ...(token === undefined ? {} : { token }),
        ...(password === undefined ? {} : { password }),
      },
      ...(tailscale === undefined ? {} : { tailscale: { ...gateway?.tailscale, mode: tailscale } }),
    },
  };
}
