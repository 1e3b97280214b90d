import type { Route } from "../network/mod.ts";

/** Liveness and readiness; they answer whoever asks, and tell nothing else. */
export function probeRoutes(isReady: () => boolean, uptimeMs: () => number, version: string): Route[] {
  const json = (status: number, value: unknown) => ({
    status,
    headers: { "content-type": "application/json; charset=utf-8" },
    body: JSON.stringify(value),
  });
  const row = (path: string, handle: Route["handle"]): Route => ({
    method: "GET",
    path,
    auth: "none",
    maxBodyBytes: 0,
    anyHost: true,
    handle,
  });
  const live = () => json(200, { ok: true, status: "live" });
  const readiness = () =>
    isReady()
      ? json(200, { ready: true, failing: [] })
      : json(503, { ready: false, failing: ["starting-or-draining"] });
  return [
    row("/health", live),
    row("/healthz", live),
    row("/ready", readiness),
    row("/readyz", readiness),
    row("/startupz", (request) => {
      if (!isReady()) return json(503, { ok: false, status: "draining" });
      const more = request.arrival?.isLocal ? { version, uptimeMs: uptimeMs() } : {};
      return json(200, { ok: true, status: "started", ...more });
    }),
  ];
}
