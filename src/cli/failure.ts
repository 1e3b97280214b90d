import { InputError } from "../kernel/mod.ts";

/** A command that cannot go on: its message is for the person at the terminal, its code for the script. */
export class CommandFailure extends Error {
  readonly exitCode: 1 | 2 | 3;
  constructor(exitCode: 1 | 2 | 3, message: string) {
    super(message);
    this.name = "CommandFailure";
    this.exitCode = exitCode;
  }
}

/** Nothing listens where the gateway would be (exit code 3). */
export class NoGateway extends CommandFailure {
  constructor(message: string) {
    super(3, message);
  }
}

/** The arguments were not understood (exit code 2). */
export class UsageError extends InputError {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}
