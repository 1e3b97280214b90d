/** Why a reference leads nowhere: a sentence that may be shown. */
export class NotFollowed extends Error {}

/** A path with its "~" replaced; undefined for one that is not absolute. */
export function absolutePath(path: string, home: string | undefined): string | undefined {
  const whole = path.startsWith("~/") && home ? `${home}${path.slice(1)}` : path;
  return whole.startsWith("/") ? whole : undefined;
}
