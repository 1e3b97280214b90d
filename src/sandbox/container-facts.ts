import { type ContainerEngine, EngineError } from "./container-engine.ts";

/** What an engine says of itself. */
export async function engineFacts(
  engine: ContainerEngine,
): Promise<{ readonly isRootless: boolean; readonly hasAppArmor: boolean }> {
  const { SecurityOptions = [] } = (await engine.call("GET", "/info")) as {
    readonly SecurityOptions?: readonly string[];
  };
  const has = (name: string) => SecurityOptions.some((option) => option.startsWith(`name=${name}`));
  const isRootless = has("rootless");
  // Only root can put a profile on a container.
  return { isRootless, hasAppArmor: has("apparmor") && !isRootless };
}

/** The id of the image that goes by this name. Rejects with an EngineError that says how to get it. */
export async function imageId(engine: ContainerEngine, image: string): Promise<string> {
  try {
    const facts = (await engine.call("GET", `/images/${encodeURIComponent(image)}/json`)) as {
      readonly Id: string;
    };
    return facts.Id;
  } catch (error) {
    if (!(error instanceof EngineError) || error.status !== 404) throw error;
    const own = /^openclaw-sandbox:([a-z]+)$/.exec(image)?.[1];
    throw new EngineError(
      `The engine has no image ${image}. ${own === undefined ? "Import or pull it there" : `Make it: openclaw sandbox image ${own}`}, or set sandbox.docker.image to one it has.`,
      404,
    );
  }
}

/** Undefined: the engine answers, and has the image. Else why not, and what to do. */
export async function engineProblem(engine: ContainerEngine, image: string): Promise<string | undefined> {
  try {
    await engine.call("GET", "/_ping");
    await imageId(engine, image);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
