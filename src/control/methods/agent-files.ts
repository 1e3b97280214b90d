import { schema } from "../../kernel/mod.ts";
import { unknownAgent } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { object, open, optional, string } = schema;

const agentId = string({ minLength: 1, maxLength: 64 });
const name = string({ minLength: 1, maxLength: 64 });

/** agents.files.list, get and set: the files of a workspace that an agent reads at the start of each turn. */
export function agentFileMethods(parts: ControlParts): Method[] {
  const workspaceOf = (id: string) => {
    if (!parts.sessionSettings().agentIds.includes(id)) throw unknownAgent(id);
    return parts.workspacePath(id);
  };
  return [
    method({
      name: "agents.files.list",
      scope: "operator.read",
      params: open(object({ agentId })),
      run: async (params) => {
        const workspace = workspaceOf(params.agentId);
        return { agentId: params.agentId, workspace, files: await parts.agentFiles.list(workspace) };
      },
    }),
    method({
      name: "agents.files.get",
      scope: "operator.read",
      params: open(object({ agentId, name })),
      run: async (params) => {
        const workspace = workspaceOf(params.agentId);
        return {
          agentId: params.agentId,
          workspace,
          file: await parts.agentFiles.read(workspace, params.name),
        };
      },
    }),
    method({
      name: "agents.files.set",
      scope: "operator.admin",
      maxBytes: 4_194_304,
      perMinute: 30,
      params: open(
        object({
          agentId,
          name,
          content: string({ maxLength: 1_000_000 }),
          /** SHA-256 of what is to be replaced, as lower-case hex. */
          expectedHash: optional(string({ maxLength: 64 })),
        }),
      ),
      admin: (params) => ({
        action: "agents.files.set",
        facts: { agentId: params.agentId, name: params.name, chars: params.content.length },
      }),
      run: async (params) => {
        const workspace = workspaceOf(params.agentId);
        const file = await parts.agentFiles.write(
          workspace,
          params.name,
          params.content,
          params.expectedHash,
        );
        return { ok: true, agentId: params.agentId, workspace, file };
      },
    }),
  ];
}
