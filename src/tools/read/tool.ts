import { InputError, maxPictureBytes, pictureFacts, type Static, schema as s } from "../../kernel/mod.ts";
import type { Powers, Tool, ToolOutput } from "../../sandbox/tool.ts";
import { isPlainAscii } from "../binary-kind.ts";
import { decodeText, maxFileBytes } from "../text-file.ts";

const maxOutputBytes = 50 * 1024;
const maxLines = 2000;
const maxNames = 1000;

const parameters = s.object({
  path: s.string({
    description: "File or folder, relative to the workspace.",
    minLength: 1,
    maxLength: 4096,
  }),
  offset: s.optional(s.integer({ description: "First line to show, from 1.", minimum: 1 })),
  limit: s.optional(s.integer({ description: `How many lines, at most ${maxLines}.`, minimum: 1 })),
});

/** Shows a text file with line numbers, a picture, or the names in a folder. */
export function openRead(): Tool {
  return {
    spec: {
      name: "read",
      description:
        "Reads a text file of the workspace, with line numbers, shows a picture (PNG, JPEG, GIF, WebP), or lists a folder. Long files come in parts: use offset and limit.",
      parameters,
    },
    plan(args) {
      return [{ kind: "file.read", path: (args as Static<typeof parameters>).path }];
    },
    async run(args, powers) {
      const { path, offset = 1, limit = maxLines } = args as Static<typeof parameters>;
      let content: Awaited<ReturnType<Powers["workspace"]["read"]>>;
      try {
        content = await powers.workspace.read(path, maxFileBytes);
      } catch (error) {
        const listing = await listed(path, powers);
        if (listing) return listing;
        throw error;
      }
      const picture = shownPicture(path, content);
      if (picture) return picture;
      const text = decodeText(content.bytes, path, content.truncated);
      return {
        ...show(text, path, offset, Math.min(limit, maxLines), content.truncated),
        origin: `file:${path}`,
      };
    },
  };
}

/** Undefined for what does not begin like a picture. Throws an InputError for one that cannot be shown. */
function shownPicture(
  path: string,
  { bytes, size }: Awaited<ReturnType<Powers["workspace"]["read"]>>,
): ToolOutput | undefined {
  const facts = pictureFacts(bytes);
  if (facts === undefined || isPlainAscii(bytes)) return undefined;
  const named = JSON.stringify(path);
  if (size > maxPictureBytes)
    throw new InputError(
      `${named} is a ${facts.format} image of ${size} bytes; at most ${maxPictureBytes} are shown. Make it smaller first.`,
    );
  if ("problem" in facts)
    throw new InputError(`${named} is not a ${facts.format} image that can be shown: ${facts.problem}.`);
  const { type, format, widthPx, heightPx } = facts;
  return {
    text: `${named} is a ${format} image: ${widthPx} x ${heightPx} pixels, ${size} bytes.`,
    isError: false,
    pictures: [{ mimeType: type, bytes }],
    origin: `file:${path}`,
    details: { path, kind: "picture", type, bytes: size, widthPx, heightPx },
  };
}

async function listed(path: string, { workspace }: Powers): Promise<ToolOutput | undefined> {
  try {
    const names = await workspace.list(path, maxNames + 1);
    const more = names.length > maxNames ? `\n[More than ${maxNames} names; the rest is not shown.]` : "";
    const text = names.length === 0 ? "(an empty folder)" : names.slice(0, maxNames).join("\n") + more;
    return {
      text,
      isError: false,
      origin: `file:${path}`,
      details: { path, kind: "folder", names: names.length },
    };
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

function show(text: string, path: string, offset: number, limit: number, truncated: boolean): ToolOutput {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const total = truncated ? `more than ${lines.length}` : `${lines.length}`;
  if (lines.length === 0) return { text: "(an empty file)", isError: false, details: { path, lines: 0 } };
  if (offset > lines.length)
    throw new InputError(`${JSON.stringify(path)} has ${total} lines; there is no line ${offset}.`);
  const shown: string[] = [];
  let size = 0;
  for (const line of lines.slice(offset - 1, offset - 1 + limit)) {
    const numbered = `${String(offset + shown.length).padStart(6)}\t${line}`;
    size += Buffer.byteLength(numbered) + 1;
    if (size > maxOutputBytes) {
      // One line that alone is too long is shown in part: there would be no offset that reaches it.
      if (shown.length === 0)
        shown.push(`${numbered.slice(0, maxOutputBytes / 4)} [this line is longer; the rest is not shown]`);
      break;
    }
    shown.push(numbered);
  }
  const last = offset - 1 + shown.length;
  const isWhole = last >= lines.length && !truncated;
  if (!isWhole && last < lines.length)
    shown.push(`[Lines ${offset}-${last} of ${total}. Read on with offset ${last + 1}.]`);
  else if (!isWhole)
    shown.push(`[The file is larger than ${maxFileBytes} bytes; the rest cannot be read with this tool.]`);
  return {
    text: shown.join("\n"),
    isError: false,
    details: { path, firstLine: offset, lastLine: last, lines: lines.length, truncated: !isWhole },
  };
}
