import { createHash } from "node:crypto";
import { mayCall, type Principal } from "../../auth/mod.ts";
import { type AskedFile, askedFile, MethodError } from "../../control/mod.ts";
import { admitted } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpRequest } from "../../network/mod.ts";
import type { SentFile } from "../../session/mod.ts";
import { apiError } from "./answers.ts";
import type { ApiParts } from "./parts.ts";

/** Pictures in which nothing runs. An SVG is a page, and a PDF has a reader with scripts of its own. */
const shownInPlace: ReadonlySet<string> = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

/** The protocol's method whose reader may have the files, too. */
const readsSession = "chat.history";

/** GET /chat/files: one file of a reply. What the caller may not see is not told from what is not there. */
export async function replyFile(
  request: HttpRequest,
  caller: Principal,
  parts: ApiParts,
): Promise<HttpAnswer> {
  const asked = askedFile(request.query);
  const found = asked && fileOf(asked, caller, parts);
  if (!found) return notThere();
  const { file, kept, sessionId } = found;
  const bytes = await parts.shownFiles.read(sessionId, kept, file.bytes);
  // Other bytes than those that were recorded have a type that nobody looked at.
  if (!bytes || createHash("sha256").update(bytes).digest("hex") !== file.sha256) return notThere();
  return { status: 200, headers: fileHeaders(file), body: bytes };
}

function fileOf(asked: AskedFile, caller: Principal, parts: ApiParts) {
  const key = mayRead(asked.sessionKey, caller, parts);
  const session = key === undefined ? undefined : parts.sessions.get(key);
  if (!session) return undefined;
  const { sessionId } = session;
  const range = { afterSeq: asked.seq - 1, throughSeq: asked.seq, limit: 1 };
  const [entry] = parts.sessions.entries(sessionId, range);
  if (entry?.body.type !== "message" || entry.body.message.role !== "assistant") return undefined;
  const file = entry.body.message.delivered?.files.find((one) => one.kept === asked.kept);
  return file && { file, kept: asked.kept, sessionId };
}

/** The session's key; undefined when this caller could not read the session either. */
function mayRead(sessionKey: string, { limits }: Principal, parts: ApiParts): string | undefined {
  try {
    const { key } = parts.sessionNames.resolve(sessionKey, undefined);
    const reach = () => parts.reach.of(readsSession, { sessionKey });
    return admitted(mayCall(limits, { name: readsSession, handsOutRights: false, reach })) ? key : undefined;
  } catch (error) {
    if (error instanceof MethodError) return undefined;
    throw error;
  }
}

/** Everything but such a picture is for the disk. */
function fileHeaders({ name, type }: SentFile): Record<string, string> {
  const isPicture = shownInPlace.has(type);
  const plain = name.replace(/[^\w. ()+-]/g, "_");
  const encoded = encodeURIComponent(name).replaceAll("(", "%28").replaceAll(")", "%29");
  return {
    "content-type": isPicture ? type : "application/octet-stream",
    "content-disposition": `${isPicture ? "inline" : "attachment"}; filename="${plain}"; filename*=UTF-8''${encoded}`,
    "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
  };
}

function notThere(): HttpAnswer {
  const message = "There is no such file. What chat.history lists for this session can be fetched.";
  return apiError(404, "not_found", message, { code: "not_found" });
}
