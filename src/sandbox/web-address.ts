import type { LookupFunction } from "node:net";
import { InputError, type Verdict } from "../kernel/mod.ts";

export type Resolve = (hostname: string, signal: AbortSignal) => Promise<readonly ResolvedAddress[]>;

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

const maxAddresses = 16;

/**
 * The addresses to connect to: the host itself when it is one, else what its name resolves to, asked once. All are
 * judged, and one that is refused refuses the host. Rejects with an InputError that says which, or that there is none.
 */
export async function vettedAddresses(
  host: { readonly hostname: string; readonly literal: string | undefined },
  deps: { readonly resolve: Resolve; readonly judge: (address: string) => Verdict<string> },
  refused: (detail: string) => InputError,
  signal: AbortSignal,
): Promise<readonly ResolvedAddress[]> {
  const { literal, hostname } = host;
  const addresses: readonly ResolvedAddress[] =
    literal === undefined
      ? await abortable(deps.resolve(hostname, signal), signal).catch((error: unknown) => {
          if (signal.aborted) throw error;
          throw new InputError(`The name ${hostname} was not found. Check the URL.`);
        })
      : [{ address: literal, family: literal.includes(":") ? 6 : 4 }];
  if (addresses.length === 0) throw new InputError(`The name ${hostname} has no address. Check the URL.`);
  for (const { address } of addresses) {
    const verdict = deps.judge(address);
    if (!verdict.ok) throw refused(verdict.detail);
  }
  return addresses.slice(0, maxAddresses);
}

/** A "resolver" that only knows the vetted addresses, so that nothing is resolved between the check and the connect. */
export function pinned(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (_hostname, options, callback) => {
    if (options.all === true) {
      callback(null, [...addresses]);
      return;
    }
    const [first] = addresses;
    if (first) callback(null, first.address, first.family);
    else callback(new Error("no address"), "");
  };
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const stop = Promise.withResolvers<never>();
  const abort = () => stop.reject(new Error("aborted"));
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, stop.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
