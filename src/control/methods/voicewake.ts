import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";

const { array, object, open, string } = schema;

const maxChars = 100;
const maxTriggers = 32;

/** The words that wake a device that listens: one list for all devices. Throws an InputError when it cannot be read. */
export interface VoicewakePort {
  get(): Promise<readonly string[]>;
  /** Keeps the list, and tells everybody; none restores the usual words. Gives what is kept. */
  set(triggers: readonly string[]): Promise<readonly string[]>;
}

export const wakeWords = array(string({ maxLength: maxChars }), { maxItems: maxTriggers });

/** voicewake.get, voicewake.set. */
export function voicewakeMethods(port: VoicewakePort): Method[] {
  return [
    method({
      name: "voicewake.get",
      scope: "operator.read",
      params: open(object({})),
      run: async () => ({ triggers: await port.get() }),
    }),
    method({
      name: "voicewake.set",
      scope: "operator.write",
      perMinute: 60,
      params: open(object({ triggers: wakeWords })),
      admin: ({ triggers }) => ({ action: "voicewake.set", facts: { count: triggers.length } }),
      run: async ({ triggers }) => ({ triggers: await port.set(plainWords(triggers)) }),
    }),
  ];
}

/** Trimmed, each once however it is written, and none empty. */
function plainWords(triggers: readonly string[]): readonly string[] {
  const found = new Map<string, string>();
  for (const trigger of triggers) {
    const word = trigger.trim().replace(/\s+/g, " ");
    if (/\p{Cc}/u.test(word))
      throw new MethodError(invalid(`the wake word ${JSON.stringify(word)} has a control character`));
    const key = word.toLowerCase();
    if (word !== "" && !found.has(key)) found.set(key, word);
  }
  return [...found.values()];
}
