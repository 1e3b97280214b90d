/** What files begin with that are not text, wherever their name says they are. */
const beginnings: readonly (readonly [at: number, bytes: string, what: string])[] = [
  [0, "\x89PNG\r\n\x1a\n", "a PNG image"],
  [0, "\xff\xd8\xff", "a JPEG image"],
  [0, "GIF87a", "a GIF image"],
  [0, "GIF89a", "a GIF image"],
  [8, "WEBP", "a WebP image"],
  [0, "II*\0", "a TIFF image"],
  [0, "MM\0*", "a TIFF image"],
  [4, "ftypavif", "an AVIF image"],
  [4, "ftypheic", "a HEIC image"],
  [4, "ftyp", "a video or sound in an MP4 container"],
  [0, "\x1aE\xdf\xa3", "a video in a Matroska or WebM container"],
  [0, "OggS", "a sound in an Ogg container"],
  [0, "ID3", "an MP3 sound"],
  [0, "%PDF-", "a PDF document"],
  [0, "PK\x03\x04", "a zip archive, or a document that is one inside (docx, xlsx, odt, epub, jar)"],
  [0, "\x1f\x8b", "a gzip file"],
  [257, "ustar", "a tar archive"],
  [0, "BZh", "a bzip2 file"],
  [0, "\xfd7zXZ\0", "an xz file"],
  [0, "7z\xbc\xaf\x27\x1c", "a 7z archive"],
  [0, "SQLite format 3\0", "an SQLite database"],
  [0, "\x7fELF", "a program or library"],
  [0, "MZ", "a Windows program"],
  [0, "\0asm", "a WebAssembly module"],
];

/** What the content is, in words; undefined when it is text, or nothing that is known. */
export function binaryKind(bytes: Buffer): string | undefined {
  const known = beginnings.find(([at, text]) => bytes.toString("latin1", at, at + text.length) === text)?.[2];
  // Text may begin so too; what is none says so early.
  return known !== undefined && (known === "a PDF document" || !isPlainAscii(bytes)) ? known : undefined;
}

/** As far as its beginning tells: a text may begin with "GIF89a" too. */
export function isPlainAscii(bytes: Buffer): boolean {
  return bytes
    .subarray(0, 512)
    .every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127));
}
