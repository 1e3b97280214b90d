import { InputError } from "../../kernel/mod.ts";

/** As xterm sends them. Enter is the caller's: what ends a line depends on what reads it. */
const named: Readonly<Record<string, string>> = {
  Tab: "\t",
  BTab: "\u001b[Z",
  Escape: "\u001b",
  Space: " ",
  BSpace: "\u007f",
  Up: "\u001b[A",
  Down: "\u001b[B",
  Right: "\u001b[C",
  Left: "\u001b[D",
  Home: "\u001b[H",
  End: "\u001b[F",
  PageUp: "\u001b[5~",
  PageDown: "\u001b[6~",
  Insert: "\u001b[2~",
  Delete: "\u001b[3~",
  F1: "\u001bOP",
  F2: "\u001bOQ",
  F3: "\u001bOR",
  F4: "\u001bOS",
  F5: "\u001b[15~",
  F6: "\u001b[17~",
  F7: "\u001b[18~",
  F8: "\u001b[19~",
  F9: "\u001b[20~",
  F10: "\u001b[21~",
  F11: "\u001b[23~",
  F12: "\u001b[24~",
};

/**
 * The characters of a list of keys: names as above and Enter, "C-c" for control, "M-x" for Alt, or literal text. In a
 * terminal C-c interrupts; a program without one reads it as a character.
 */
export function keysToText(keys: readonly string[], enter: string): string {
  return keys.map((key) => keyToText(key, enter)).join("");
}

function keyToText(key: string, enter: string): string {
  if (key === "Enter") return enter;
  const name = Object.hasOwn(named, key) ? named[key] : undefined;
  if (name !== undefined) return name;
  const control = /^C-([a-z[\]\\^_@])$/i.exec(key)?.[1];
  if (control !== undefined) return String.fromCharCode(control.toUpperCase().charCodeAt(0) & 0x1f);
  const alt = /^M-([ -~])$/.exec(key)?.[1];
  if (alt !== undefined) return `\u001b${alt}`;
  if (/^[CMS]-./.test(key))
    throw new InputError(`The key ${JSON.stringify(key)} is not known. Use names like Enter, Up or C-c.`);
  return key;
}
