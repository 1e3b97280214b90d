import { readlink } from "node:fs/promises";
import { codeOf, type Folder, walk } from "./folder.ts";

const maxLinks = 16;

/**
 * The names that the symbolic links on the way from `root` come to; undefined without a link, and when one leads
 * outside or to no end. Whatever is swapped while this looks, what it gives is only a path to be opened anew, through no link.
 */
export async function targetInside(
  root: Folder,
  rootPath: string,
  names: readonly string[],
): Promise<readonly string[] | undefined> {
  const left = [...names];
  let passed: string[] = [];
  let links = 0;
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    // Only a link's own text has these, and what was passed has no link: one folder up is one name less.
    if (name === "..") {
      if (passed.pop() === undefined) return undefined;
      continue;
    }
    const text = await linkText(root, passed, name);
    if (text === undefined) {
      passed.push(name);
      continue;
    }
    links += 1;
    if (links > maxLinks) return undefined;
    const isAbsolute = text.startsWith("/");
    if (isAbsolute && !text.startsWith(`${rootPath}/`)) return undefined;
    if (isAbsolute) passed = [];
    const target = isAbsolute ? text.slice(rootPath.length) : text;
    left.unshift(...target.split("/").filter((part) => part !== "" && part !== "."));
  }
  return links > 0 ? passed : undefined;
}

/** What the link of this name says; undefined when it is none. */
async function linkText(root: Folder, folders: readonly string[], name: string): Promise<string | undefined> {
  const folder = await walk(root, folders, { create: false, path: [...folders, name].join("/") });
  try {
    return await readlink(folder.at(name));
  } catch (error) {
    if (["EINVAL", "ENOENT", "ENOTDIR"].includes(codeOf(error))) return undefined;
    throw error;
  } finally {
    await folder.close();
  }
}
