import type { OutgoingOrder } from "../control/mod.ts";
import type { Destination, OutboundFile } from "../delivery/mod.ts";
import { admitted, InputError, type Json, type Reason, reasonText, type Write } from "../kernel/mod.ts";
import { mainKey, type SessionSettings } from "../session/mod.ts";
import type { Store } from "../store/mod.ts";
import { leavingFile, mayLeave } from "../turn-media.ts";
import type { ComposedApiTokens } from "./api-tokens.ts";
import type { Media } from "./media.ts";
import type { Tools } from "./tools.ts";

/** The files of an order as they go out, and what belongs into the commit that stores them. All of them, or an InputError. */
export type OutgoingFiles = (
  order: OutgoingOrder,
  to: Destination,
  messageId: string,
) => Promise<{ readonly files: readonly OutboundFile[]; readonly writes: readonly Write[] }>;

const deadlineMs = 30_000;

/** Files that an operator has sent: those of an agent's workspace that the agent could read for him, as with its replies. */
export function createOutgoingFiles(
  ports: {
    readonly store: Pick<Store, "ledger" | "commit">;
    readonly tools: Pick<Tools, "policyFor">;
    readonly media: Pick<Media, "sendBytes" | "readPermitted" | "keep">;
    readonly agents: () => Pick<SessionSettings, "agentIds" | "defaultAgentId">;
  } & Pick<ComposedApiTokens, "mayUseAgent" | "narrow">,
): OutgoingFiles {
  const { media, store } = ports;

  function agentOf({ agentId, source }: OutgoingOrder): string {
    const { agentIds, defaultAgentId } = ports.agents();
    const wanted = agentId ?? defaultAgentId;
    if (!agentIds.includes(wanted))
      throw new InputError(`there is no agent ${JSON.stringify(wanted)}; nothing was sent`);
    const allowed = ports.mayUseAgent(source.author, wanted);
    if (!admitted(allowed)) throw new InputError(`${reasonText(allowed.reason)} Nothing was sent.`);
    return wanted;
  }

  async function attach(
    order: OutgoingOrder,
    at: { readonly agentId: string; readonly maxBytes: number; readonly copy: string },
    path: string,
    messageId: string,
  ): Promise<{ readonly file: OutboundFile; readonly write: Write }> {
    const { agentId, maxBytes, copy } = at;
    const { author, trust } = order.source;
    const sessionKey = mainKey(agentId);
    const record = (
      stage: string,
      kind: "verdict" | "effect.start" | "effect.end",
      action: string,
      facts: Json,
      outcome?: Reason | "ok" | "error",
    ) =>
      store.ledger.append({
        stage,
        kind,
        action,
        messageId,
        runId: messageId,
        actor: order.actor,
        facts,
        ...(outcome === undefined ? {} : { outcome }),
      });
    const request = { id: copy, tool: "read", arguments: { path }, agentId, sessionKey, runId: messageId };
    const context = await ports.tools.policyFor(agentId, "read", {
      sessionKey,
      ownerWrote: trust === "owner",
    });
    const verdict = mayLeave(request, ports.narrow(agentId, author, context));
    if (!admitted(verdict)) {
      await store.commit([
        record("policy", "verdict", "refuse", { tool: "read", media: true }, verdict.reason),
      ]);
      throw unsent(path, agentId, reasonText(verdict.reason));
    }
    await store.commit([
      record("delivery", "effect.start", "media.attach", { path: path.slice(0, 300), agentId }),
    ]);
    try {
      const bytes = await media.readPermitted(verdict.value, maxBytes, AbortSignal.timeout(deadlineMs));
      const { name, extension: _, ...facts } = leavingFile(path, bytes);
      const file = { path: await media.keep(copy, bytes), name, type: facts.type, bytes: facts.bytes };
      return { file, write: record("delivery", "effect.end", "media.attach", facts, "ok") };
    } catch (error) {
      await store.commit([record("delivery", "effect.end", "media.attach", {}, "error")]);
      if (error instanceof InputError) throw unsent(path, agentId, error.message);
      throw error;
    }
  }

  return async (order, { channel, account }, messageId) => {
    const { files = [] } = order;
    if (files.length === 0) return { files: [], writes: [] };
    const agentId = agentOf(order);
    const maxBytes = media.sendBytes(channel, account);
    if (maxBytes === undefined) throw new InputError(`${channel} takes no files; nothing was sent`);
    const attached: Awaited<ReturnType<typeof attach>>[] = [];
    for (const [index, path] of files.entries()) {
      if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path))
        throw unsent(path, agentId, "it is an address, and nothing is fetched for a message");
      const at = { agentId, maxBytes, copy: `${messageId}-${index}` };
      attached.push(await attach(order, at, path, messageId));
    }
    return { files: attached.map(({ file }) => file), writes: attached.map(({ write }) => write) };
  };
}

function unsent(path: string, agentId: string, why: string): InputError {
  return new InputError(
    `${JSON.stringify(path.slice(0, 300))} was not sent: ${why.replace(/\.$/, "")}. What is sent must be a file in the workspace of the agent ${agentId}, by its path there; nothing was sent`,
  );
}
