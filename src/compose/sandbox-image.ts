import { arch, homedir, userInfo } from "node:os";
import { type Clock, InputError } from "../kernel/mod.ts";

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const proxies = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/** Makes an image of ours for the engine that is there; else a sentence why not. */
export async function makeImage(asked: {
  readonly name: string;
  /** "docker" or "podman"; undefined: the first that answers. */
  readonly engine: string | undefined;
  readonly mirror: string | undefined;
  readonly suite: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly say: (text: string) => void;
}): Promise<{ readonly image: string; readonly engine: string } | string> {
  const { connectEngine, findSocket, imageNames, makeSandboxImage } = await import("../sandbox/mod.ts");
  const { env, clock, say } = asked;
  const kinds = (["docker", "podman"] as const).filter((kind) => kind === (asked.engine ?? kind));
  if (kinds.length === 0)
    return `there is no engine ${JSON.stringify(asked.engine)}; there are: docker, podman`;
  if (!imageNames.includes(asked.name))
    return `there is no image ${JSON.stringify(asked.name)}; there are: ${imageNames.join(", ")}`;
  const problems: string[] = [];
  for (const kind of kinds) {
    const found = findSocket(kind, { env, uid: userInfo().uid, home: env.HOME ?? homedir() });
    if (typeof found === "string") {
      problems.push(found);
      continue;
    }
    const engine = connectEngine({ clock, socketPath: found.socketPath });
    try {
      await engine.call("GET", "/_ping");
      const image = await makeSandboxImage({
        engine,
        name: asked.name,
        suite: asked.suite ?? "bookworm",
        ...(asked.mirror === undefined ? {} : { mirror: asked.mirror }),
        architecture: arch(),
        env: {
          PATH: path,
          LANG: "C.UTF-8",
          ...Object.fromEntries(
            proxies.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
          ),
        },
        say,
      });
      return { image, engine: kind };
    } catch (error) {
      if (error instanceof InputError) return error.message;
      problems.push(error instanceof Error ? error.message : String(error));
    } finally {
      engine.close();
    }
  }
  return problems.join(" ");
}
