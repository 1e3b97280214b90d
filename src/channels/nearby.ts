/**
 * This machine, a private address, or a name that has no meaning on the public internet: the only places to which a
 * secret may travel in clear text.
 */
export function isNearby(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (host === "localhost" || host === "::1" || /\.(local|internal|lan)$/.test(host)) return true;
  if (/^[a-z0-9-]+$/i.test(host) && /[a-z]/i.test(host)) return true;
  if (/^f[cd][0-9a-f]{2}:/i.test(host)) return true;
  return /^(127|10)\.\d+\.\d+\.\d+$|^192\.168\.\d+\.\d+$|^172\.(1[6-9]|2\d|3[01])\.\d+\.\d+$/.test(host);
}
