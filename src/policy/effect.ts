/**
 * What a tool call would do, said by the tool from its arguments before anything runs. Policy judges effects, not
 * tools; a call whose effect is not listed here cannot be permitted.
 */
export type Effect =
  | { readonly kind: "file.read"; readonly path: string }
  | { readonly kind: "file.write"; readonly path: string }
  | { readonly kind: "file.delete"; readonly path: string }
  | {
      readonly kind: "command";
      /** The command line as the model wrote it. */
      readonly command: string;
      /** Relative to the workspace; "." is the workspace itself. */
      readonly workdir: string;
      readonly env: Readonly<Record<string, string>>;
      readonly background: boolean;
    }
  /** Reading from or ending a command that this session started before. */
  | { readonly kind: "process"; readonly action: string; readonly processId?: string }
  | { readonly kind: "fetch"; readonly url: string };
