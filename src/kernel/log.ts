import type { Json } from "./canonical.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";
export const logLevels: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error", "fatal"];

/** Where stages say what they do. Whoever implements it redacts; callers still never pass a secret. */
export type Log = (
  level: LogLevel,
  message: string,
  fields?: { readonly [key: string]: Json | undefined },
) => void;

export const silentLog: Log = () => {};
