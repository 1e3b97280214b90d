/** Somebody's input was wrong: the message says what, where, and what to do next, and is safe to show to its author. */
export class InputError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InputError";
  }
}
