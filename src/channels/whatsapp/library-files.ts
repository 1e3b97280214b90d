import lock from "./library-lock.json" with { type: "json" };

/** Every package of the library with its version and checksum, as npm takes them; made with `npm install`. */
export function libraryFiles(): Readonly<Record<string, string>> {
  const { dependencies } = lock.packages[""];
  return {
    "package.json": `${JSON.stringify({ name: lock.name, private: true, dependencies }, null, 2)}\n`,
    "package-lock.json": `${JSON.stringify(lock, null, 2)}\n`,
  };
}
