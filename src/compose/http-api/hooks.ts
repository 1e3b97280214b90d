import { hash } from "node:crypto";
import { fence } from "../../agent/mod.ts";
import { admitted, schema } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpRequest, Route } from "../../network/mod.ts";
import { mainKey } from "../../session/mod.ts";
import { ApiProblem, json, jsonObject } from "./answers.ts";
import { checked, withoutNulls } from "./chat-completions.ts";
import { createHookCheck, type Refused, tokenOf } from "./hook-access.ts";
import { problem, problemOf, refusal, woken } from "./hook-answers.ts";
import {
  type HookDelivery,
  type HookTarget,
  hookCompletion,
  hookDelivery,
  namedTargets,
} from "./hook-delivery.ts";
import {
  hookAgent,
  hookItems,
  hookMapping,
  hookSession,
  isRefusal,
  mappedText,
  messageText,
} from "./hook-order.ts";
import { type HookContext, renderTemplate } from "./hook-template.ts";
import type { ApiParts } from "./parts.ts";
import { useModel } from "./session-model.ts";
import type { ApiSettings, HookMapping, HookSettings } from "./settings.ts";

const { any, boolean, number, object, oneOf, open, optional, string } = schema;

const wakeSchema = open(
  object({
    text: string({ minLength: 1, maxLength: 100_000 }),
    mode: optional(oneOf(["now", "next-heartbeat"])),
    agentId: optional(string()),
    sessionKey: optional(string({ maxLength: 512 })),
    idempotencyKey: optional(string()),
  }),
);

const agentSchema = open(
  object({
    message: string({ minLength: 1, maxLength: 200_000 }),
    name: optional(string({ maxLength: 200 })),
    agentId: optional(string()),
    sessionKey: optional(string({ maxLength: 512 })),
    sessionMode: optional(oneOf(["isolated", "persistent"])),
    idempotencyKey: optional(string()),
    waitForCompletion: optional(boolean()),
    deliver: optional(boolean()),
    channel: optional(string({ maxLength: 64 })),
    to: optional(any()),
    accountId: optional(string({ maxLength: 128 })),
    model: optional(string({ maxLength: 200 })),
    timeoutSeconds: optional(number({ minimum: 0 })),
  }),
);

/** Only the config may say these: a sender that could would widen its own rights (attack A-253). */
const configOnly = ["allowUnsafeExternalContent", "senderIsOwner", "tools"];
const maxTimeoutSeconds = 3600;

interface HookRun {
  readonly runId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly text: string;
  /** "hook:github": what the record and the transcript call the author. */
  readonly author: string;
  readonly model?: string | undefined;
  readonly timeoutSeconds?: number | undefined;
  readonly delivery?: HookDelivery | undefined;
}

/** POST <hooks.path>/wake, /agent and /<mapping>: what other programs may tell an agent. */
export function hooksRoute(parts: ApiParts, settings: () => ApiSettings, refused: Refused): Route {
  const check = createHookCheck(parts, settings, refused);

  async function handle(request: HttpRequest): Promise<HttpAnswer> {
    const hooks = settings().hooks;
    // Asked again: the token may have been changed while the body came in (attack A-006).
    if (!hooks?.token.equals(tokenOf(request))) return problem(401, "the hook token is missing or wrong");
    try {
      const payload = jsonObject(request.body);
      const path = request.path.slice(hooks.path.length + 1);
      if (path === "wake") return await wake(request, payload, hooks);
      if (path === "agent") return await agent(request, payload, hooks);
      const mapping = hookMapping(path, payload, hooks.mappings);
      if (!mapping) return problem(404, "no hook mapping is for this path");
      return await mapped(request, payload, path, mapping, hooks);
    } catch (error) {
      if (error instanceof ApiProblem) return problemOf(error.answer);
      throw error;
    }
  }

  async function wake(
    request: HttpRequest,
    payload: Readonly<Record<string, unknown>>,
    hooks: HookSettings,
  ): Promise<HttpAnswer> {
    const body = checked(wakeSchema, withoutNulls(payload));
    const who = hookAgent(body.agentId, hooks, parts.sessionSettings());
    if (isRefusal(who)) return problem(who.status, who.error);
    const { agentId } = who;
    const runId = runIdOf(keyOf(request, body.idempotencyKey), "wake", agentId, 0);
    const session = hookSession({
      chosen: body.sessionKey,
      configured: mainKey(agentId),
      isolated: false,
      agentId,
      requestId: idOf(runId),
      settings: hooks,
    });
    if (isRefusal(session)) return problem(session.status, session.error);
    const text = messageText(body.text, "wake", fenceFor(runId));
    await submit({ runId, agentId, sessionKey: session.key, text, author: "hook:wake" });
    return woken();
  }

  async function agent(
    request: HttpRequest,
    payload: Readonly<Record<string, unknown>>,
    hooks: HookSettings,
  ): Promise<HttpAnswer> {
    const forbidden = configOnly.find((name) => Object.hasOwn(payload, name));
    if (forbidden !== undefined) return problem(400, `${forbidden} may be set in the configuration only`);
    const body = checked(agentSchema, withoutNulls(payload));
    const who = hookAgent(body.agentId, hooks, parts.sessionSettings());
    if (isRefusal(who)) return problem(who.status, who.error);
    const { agentId } = who;
    const runId = runIdOf(keyOf(request, body.idempotencyKey), "agent", agentId, 0);
    const session = hookSession({
      chosen: body.sessionKey,
      configured: undefined,
      isolated: body.sessionMode === "isolated",
      agentId,
      requestId: idOf(runId),
      settings: hooks,
    });
    if (isRefusal(session)) return problem(session.status, session.error);
    if (body.model !== undefined) {
      if (!session.key.endsWith(idOf(runId)))
        return problem(400, "model can be chosen for a session of its own only");
      if (!parts.models().some((row) => `${row.provider}/${row.id}` === body.model))
        return problem(400, "model is none of the configured ones (provider/model)");
    }
    const delivery = await deliveryOf(
      bodyTarget(body),
      { sessionKey: session.key, agentId },
      namedTargets(hooks.mappings, agentId, parts.sessionSettings().defaultAgentId),
    );
    const timeoutSeconds =
      body.timeoutSeconds === undefined || body.timeoutSeconds === 0 ? undefined : body.timeoutSeconds;
    await submit({
      runId,
      agentId,
      sessionKey: session.key,
      text: messageText(body.message, body.name ?? "agent", fenceFor(runId)),
      author: "hook:agent",
      model: body.model,
      timeoutSeconds,
      delivery,
    });
    if (body.waitForCompletion !== true) return json(200, { ok: true, runId });
    const waitMs = clampSeconds(timeoutSeconds ?? 600) * 1000;
    const end = await parts.runs.wait(runId, waitMs);
    // How it ended and not what was said: the token lets a program in, not out.
    const completion = await hookCompletion(runId, end?.status ?? "timeout", parts);
    return json(200, { ok: true, runId, completion });
  }

  async function mapped(
    request: HttpRequest,
    payload: Readonly<Record<string, unknown>>,
    path: string,
    mapping: HookMapping,
    hooks: HookSettings,
  ): Promise<HttpAnswer> {
    const who = hookAgent(mapping.agentId, hooks, parts.sessionSettings());
    if (isRefusal(who)) return problem(who.status, who.error);
    const { agentId } = who;
    const items = hookItems(mapping, payload);
    if ("status" in items) return problem(items.status, items.error);
    if (items.length === 0) return { status: 204 };
    const key = keyOf(request, undefined);
    const now = new Date(parts.clock.now()).toISOString();
    const runs: HookRun[] = [];
    for (const [index, item] of items.entries()) {
      const context = { payload: item, headers: request.headers, query: request.query, path, now };
      const runId = runIdOf(key, path, agentId, index);
      const isTemplate = mapping.sessionKey?.includes("{{") === true;
      const session = hookSession({
        chosen: isTemplate ? renderTemplate(mapping.sessionKey ?? "", context) : undefined,
        configured: isTemplate
          ? undefined
          : (mapping.sessionKey ?? (mapping.action === "wake" ? mainKey(agentId) : undefined)),
        isolated: mapping.isolated,
        agentId,
        requestId: idOf(runId),
        settings: hooks,
      });
      if (isRefusal(session)) return problem(session.status, session.error);
      runs.push({
        runId,
        agentId,
        sessionKey: session.key,
        text: mappedText(mapping, context, fenceFor(runId)),
        author: `hook:${mapping.name}`,
        model: mapping.model,
        timeoutSeconds: mapping.timeoutSeconds,
        delivery: await deliveryOf(
          filledIn(mapping.target, context),
          { sessionKey: session.key, agentId },
          undefined,
        ),
      });
    }
    // All are known to be right before the first one begins.
    for (const run of runs) await submit(run, true);
    if (mapping.action === "wake") return woken();
    const runIds = runs.map((run) => run.runId);
    return json(200, { ok: true, runId: runIds[0], ...(runIds.length > 1 ? { runIds } : {}) });
  }

  async function deliveryOf(
    target: HookTarget,
    run: Omit<Parameters<typeof hookDelivery>[1], "named">,
    named: readonly HookTarget[] | undefined,
  ): Promise<HookDelivery | undefined> {
    const sendPolicy = () => parts.sessionSettings().sendPolicy;
    const { channels, sessions } = parts;
    const found = await hookDelivery(target, { ...run, named }, { channels, sessions, sendPolicy });
    if (found && isRefusal(found)) throw new ApiProblem(problem(found.status, found.error));
    return found;
  }

  /** A repeat of a key finds the run that it began. With `sameKeyIsEnough`, also when a template's time differs. */
  async function submit(run: HookRun, sameKeyIsEnough = false): Promise<void> {
    const { runId, agentId, sessionKey, text, author, model, delivery } = run;
    if (model !== undefined) await useModel(parts, { sessionKey, agentId, model, actor: author });
    const verdict = await parts.runs.submit({
      sessionKey,
      agentId,
      text,
      idempotencyKey: runId,
      // The caller's words are fenced in the text. "known" keeps the owner's rights from what hooks begin.
      source: { author, proof: "secret", trust: "known", sensitivity: "private" },
      actor: author,
      ...(delivery === undefined ? {} : { delivery }),
    });
    if (!admitted(verdict)) {
      if (verdict.reason === "delivery.conflict" && sameKeyIsEnough) return;
      throw new ApiProblem(refusal(verdict.reason));
    }
    if (run.timeoutSeconds !== undefined && verdict.value.status === "started") {
      stopAfter(run, clampSeconds(run.timeoutSeconds) * 1000);
    }
  }

  function stopAfter(run: HookRun, timeoutMs: number): void {
    const cancel = parts.clock.after(timeoutMs, () => void parts.runs.abort(run.sessionKey, run.runId));
    void parts.runs.wait(run.runId, timeoutMs).then(cancel);
  }

  function runIdOf(key: string | undefined, path: string, agentId: string, index: number): string {
    const id =
      key === undefined
        ? parts.random.bytes(16).toString("hex")
        : hash("sha256", `hook\n${path}\n${agentId}\n${index}\n${key}`).slice(0, 32);
    return `hook_${id}`;
  }

  function fenceFor(runId: string) {
    return (text: string, origin: string, place: string) =>
      fence(text, origin, `${runId}:${place}`, parts.fenceKey);
  }

  return {
    method: "POST",
    path: "/*",
    auth: "operator",
    has: (path) => {
      const hooks = settings().hooks;
      return hooks !== undefined && path.startsWith(`${hooks.path}/`) && path.length > hooks.path.length + 1;
    },
    get maxBodyBytes() {
      return settings().hooks?.maxBodyBytes ?? 0;
    },
    before: check,
    handle,
  };
}

function keyOf(request: HttpRequest, inBody: string | undefined): string | undefined {
  const key = request.headers["idempotency-key"] ?? request.headers["x-openclaw-idempotency-key"] ?? inBody;
  if (key === undefined) return undefined;
  if (key === "" || key.length > 256) {
    throw new ApiProblem(problem(400, "the idempotency key must have 1 to 256 characters"));
  }
  return key;
}

function bodyTarget(body: {
  readonly deliver?: boolean;
  readonly channel?: string;
  readonly to?: unknown;
  readonly accountId?: string;
}): HookTarget {
  const { deliver, channel, to, accountId } = body;
  if (to !== undefined && typeof to !== "string" && typeof to !== "number")
    throw new ApiProblem(problem(400, "to must be the chat's id, as text or as a number"));
  return { deliver, channel, to: to === undefined ? undefined : String(to).slice(0, 512), accountId };
}

/** The mapping's words with the payload's in their placeholders. */
function filledIn(target: HookTarget, context: HookContext): HookTarget {
  const filled = (word: string | undefined) =>
    word === undefined ? undefined : renderTemplate(word, context).slice(0, 512);
  const { deliver, channel, to, accountId } = target;
  return { deliver, channel: filled(channel), to: filled(to), accountId: filled(accountId) };
}

function idOf(runId: string): string {
  return runId.slice("hook_".length);
}

function clampSeconds(seconds: number): number {
  return Math.min(Math.max(seconds, 1), maxTimeoutSeconds);
}
