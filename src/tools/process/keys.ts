import { InputError } from "../../kernel/mod.ts";

const named: Readonly<Record<string, string>> = {
  Enter: "\n",
  Tab: "\t",
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
  Delete: "\u001b[3~",
};

/**
 * The characters of a list of keys: names as above, "C-c" for control, or literal text. There is no terminal yet, so
 * C-c is a character and interrupts nothing.
 */
export function keysToText(keys: readonly string[]): string {
  return keys.map(keyToText).join("");
}

function keyToText(key: string): string {
  const name = Object.hasOwn(named, key) ? named[key] : undefined;
  if (name !== undefined) return name;
  const control = /^C-([a-z[\]\\^_@])$/i.exec(key)?.[1];
  if (control !== undefined) return String.fromCharCode(control.toUpperCase().charCodeAt(0) & 0x1f);
  if (/^[CMS]-./.test(key))
    throw new InputError(`The key ${JSON.stringify(key)} is not known. Use names like Enter, Up or C-c.`);
  return key;
}
