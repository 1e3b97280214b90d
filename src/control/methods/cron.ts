import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Method, method } from "../method.ts";

const { integer, object, open, optional, string } = schema;

const oneJob = open(object({ id: optional(string()), jobId: optional(string()) }));
const page = open(
  object({
    limit: optional(integer({ minimum: 1, maximum: 200 })),
    offset: optional(integer({ minimum: 0 })),
  }),
);

/** cron.*: there is no scheduler yet, so there are no jobs. Reads say so in full; a job that is added is refused. */
export function cronMethods(): Method[] {
  return [
    method({
      name: "cron.status",
      scope: "operator.read",
      params: open(object({})),
      run: () => ({ enabled: false, triggersEnabled: false, storePath: "", jobs: 0, nextWakeAtMs: null }),
    }),
    method({
      name: "cron.list",
      scope: "operator.read",
      params: page,
      run: (params) => ({
        jobs: [],
        snapshotRevision: "0",
        deliveryPreviews: {},
        ...emptyPage(params.offset, params.limit),
      }),
    }),
    method({
      name: "cron.runs",
      scope: "operator.read",
      params: page,
      run: (params) => ({ entries: [], ...emptyPage(params.offset, params.limit) }),
    }),
    method({ name: "cron.get", scope: "operator.read", params: oneJob, run: noSuchJob }),
    method({
      name: "cron.add",
      scope: "operator.admin",
      params: open(object({ name: string({ minLength: 1 }) })),
      run: () => {
        throw new MethodError(
          unavailable("scheduled jobs are not available yet; nothing was added", {
            reason: "not-available-yet",
          }),
        );
      },
    }),
    ...["cron.update", "cron.remove", "cron.run", "cron.scratch.get", "cron.scratch.set"].map((name) =>
      method({ name, scope: "operator.admin", maxBytes: 524_288, params: oneJob, run: noSuchJob }),
    ),
  ];
}

function emptyPage(offset = 0, limit = 50) {
  return { total: 0, offset, limit, hasMore: false, nextOffset: null };
}

function noSuchJob(params: { readonly id?: string; readonly jobId?: string }): never {
  const jobId = params.id ?? params.jobId;
  if (jobId === undefined) throw new MethodError(invalid("id or jobId required; cron.list shows the jobs"));
  throw new MethodError(
    invalid(`cron job not found: ${JSON.stringify(jobId)}; cron.list shows the jobs`, {
      code: "CRON_JOB_NOT_FOUND",
      jobId,
    }),
  );
}
