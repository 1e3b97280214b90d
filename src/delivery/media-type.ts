/** What a file is by its content. Neither its name nor what the sender says of it is asked (attack A-151). */
export interface MediaType {
  /** "image/png"; "application/octet-stream" for what is not known. */
  readonly type: string;
  /** Without the dot; from a closed list. */
  readonly extension: string;
}

const signatures: readonly (readonly [offset: number, bytes: string, type: string, extension: string])[] = [
  [0, "\x89PNG\r\n\x1a\n", "image/png", "png"],
  [0, "\xff\xd8\xff", "image/jpeg", "jpg"],
  [0, "GIF87a", "image/gif", "gif"],
  [0, "GIF89a", "image/gif", "gif"],
  [0, "BM", "image/bmp", "bmp"],
  [0, "II*\0", "image/tiff", "tiff"],
  [0, "MM\0*", "image/tiff", "tiff"],
  [4, "ftypheic", "image/heic", "heic"],
  [4, "ftypmif1", "image/heif", "heif"],
  [4, "ftypavif", "image/avif", "avif"],
  [4, "ftypM4A ", "audio/mp4", "m4a"],
  [4, "ftypqt  ", "video/quicktime", "mov"],
  [4, "ftyp", "video/mp4", "mp4"],
  [0, "\x1aE\xdf\xa3", "video/webm", "webm"],
  [0, "OggS", "audio/ogg", "ogg"],
  [0, "ID3", "audio/mpeg", "mp3"],
  [0, "\xff\xfb", "audio/mpeg", "mp3"],
  [0, "\xff\xf3", "audio/mpeg", "mp3"],
  [0, "\xff\xf2", "audio/mpeg", "mp3"],
  [0, "fLaC", "audio/flac", "flac"],
  [0, "#!AMR", "audio/amr", "amr"],
  [0, "%PDF-", "application/pdf", "pdf"],
  [0, "\x1f\x8b", "application/gzip", "gz"],
  [0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", "7z"],
  [0, "\x7fELF", "application/x-executable", "bin"],
  [0, "MZ", "application/x-msdownload", "bin"],
];

const riffForms: Readonly<Record<string, MediaType>> = {
  WEBP: { type: "image/webp", extension: "webp" },
  WAVE: { type: "audio/wav", extension: "wav" },
  "AVI ": { type: "video/x-msvideo", extension: "avi" },
};

const office = "application/vnd.openxmlformats-officedocument";
/** The first names in a ZIP archive that make it a document. */
const zipForms: readonly (readonly [name: string, type: string, extension: string])[] = [
  ["word/", `${office}.wordprocessingml.document`, "docx"],
  ["xl/", `${office}.spreadsheetml.sheet`, "xlsx"],
  ["ppt/", `${office}.presentationml.presentation`, "pptx"],
];

export function mediaType(bytes: Buffer): MediaType {
  const head = bytes.subarray(0, 16).toString("latin1");
  if (head.startsWith("RIFF")) return riffForms[head.slice(8, 12)] ?? unknownType;
  if (head.startsWith("PK\x03\x04")) return zipType(bytes);
  const known = signatures.find(([offset, mark]) => head.startsWith(mark, offset));
  if (known) return { type: known[2], extension: known[3] };
  return textType(bytes);
}

const unknownType: MediaType = { type: "application/octet-stream", extension: "bin" };

/** The part of an archive in which its entries' names are looked for, from each end. */
const searchedBytes = 65_536;

function zipType(bytes: Buffer): MediaType {
  const names = [bytes.subarray(0, searchedBytes), bytes.subarray(-searchedBytes)];
  const form = zipForms.find(([name]) => names.some((part) => part.includes(name)));
  return form ? { type: form[1], extension: form[2] } : { type: "application/zip", extension: "zip" };
}

function textType(bytes: Buffer): MediaType {
  if (bytes.length === 0) return { type: "text/plain", extension: "txt" };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return unknownType;
  }
  if (binaryCharacters.test(text)) return unknownType;
  const start = text.slice(0, 512).trimStart().toLowerCase();
  if (/^<(?:!doctype html|html|head|body|script)\b/.test(start))
    return { type: "text/html", extension: "html" };
  if (/^(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]*?-->\s*)?<svg\b/.test(start))
    return { type: "image/svg+xml", extension: "svg" };
  return { type: "text/plain", extension: "txt" };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what tells a text from anything else
const binaryCharacters = /[\0-\x08\x0e-\x1a\x1c-\x1f]/;

export function mediaKind(type: string): "image" | "audio" | "video" | "file" {
  const family = type.split("/")[0];
  return family === "image" || family === "audio" || family === "video" ? family : "file";
}

/** False when what was claimed cannot be this content. A name for text, or for a codec in the same container, can. */
export function agrees(claimed: string, type: string): boolean {
  const plain = claimed.toLowerCase().replace("image/jpg", "image/jpeg").replace("audio/mp3", "audio/mpeg");
  if (plain === type || plain === "application/octet-stream") return true;
  if (type === "text/plain")
    return /^text\/(?!html)|[/+](?:json|xml|yaml|toml|javascript|x-sh|csv)$/.test(plain);
  if (type === "application/zip") return /zip|epub|opendocument|java-archive/.test(plain);
  const [family, form] = plain.split("/");
  const sameForm = form?.replace(/^x-/, "") === type.split("/")[1]?.replace(/^x-/, "");
  // Ogg, WebM and MP4 hold sound, pictures, or both.
  return sameForm && (family === "audio" || family === "video");
}
