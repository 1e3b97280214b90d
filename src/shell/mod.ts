/**
 * Reads command lines. In: the text that a model wrote; out: the tree that policy judges and the sandbox runs, or why
 * it was not understood. Loaded when the first command is judged.
 *
 * 1. What is not surely understood is not understood: every kind of node is listed by name, the rest is refused.
 * 2. Each word is read twice, by the parser and by us; where the two differ, the line is not understood.
 * 3. The tree means what bash would do with the text.
 */
export { readCommandLine } from "./line.ts";
