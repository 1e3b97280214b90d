import type { SandboxProofFacts, SandboxSummary } from "../control/mod.ts";
import type { SandboxProof, SandboxRow } from "../sandbox/mod.ts";
import type { SandboxPlace } from "./sandbox-place.ts";

/** A proof, with what is known once it is clear what makes the sandbox. */
export type PlaceProof =
  | (SandboxProof & {
      readonly ok: true;
      readonly kind: "bubblewrap" | "docker" | "podman";
      /** What an approval for good covers. */
      readonly entry: string;
      readonly description: string;
    })
  | (SandboxProof & { readonly ok: false });

/** A sandbox that somebody wanted to use. */
export interface Tried {
  readonly place: SandboxPlace;
  readonly proof: Promise<PlaceProof>;
  /** Once it is known. */
  result?: PlaceProof;
  readonly atMs: number;
}

type Row = SandboxRow & { readonly kind: string };

/** For operators. */
export function summary({ place, result, atMs }: Tried, rows: readonly Row[]): SandboxSummary {
  const row = result?.ok ? rows.find(({ id, kind }) => id === place.id && kind === result.kind) : undefined;
  return {
    id: place.id,
    ...(place.agentId === undefined ? {} : { agentId: place.agentId }),
    ...(place.sessionKey === undefined ? {} : { sessionKey: place.sessionKey }),
    workspace: place.workspace,
    provedAtMs: atMs,
    ...(result ? { proof: factsOf(result) } : {}),
    ...(row
      ? {
          container: {
            name: row.name,
            image: row.image,
            createdAtMs: row.createdAtMs,
            lastUsedAtMs: row.lastUsedAtMs,
            runningCommands: row.runningCommands,
          },
        }
      : {}),
  };
}

export function factsOf(proof: PlaceProof): SandboxProofFacts {
  return proof.ok
    ? {
        ok: true,
        kind: proof.kind,
        held: proof.held,
        tookMs: Math.round(proof.tookMs),
        ended: proof.sandbox.isGone,
      }
    : { ok: false, why: proof.why };
}
