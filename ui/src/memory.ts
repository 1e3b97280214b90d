/**
 * What outlives a reload of this tab: drafts, messages on their way, the open conversation. Kept in the tab's
 * own session storage. Never a token or a ticket: a script that gets into the page must find none.
 */
export interface Memory {
  read(name: string): unknown;
  write(name: string, value: unknown): void;
}

export function storageMemory(storage: Storage | undefined): Memory {
  return {
    read(name) {
      try {
        return JSON.parse(storage?.getItem(`openclaw.${name}`) ?? "null");
      } catch {
        return null;
      }
    },
    write(name, value) {
      try {
        storage?.setItem(`openclaw.${name}`, JSON.stringify(value));
      } catch {
        // Storage is full or forbidden: the page works, only a reload forgets.
      }
    },
  };
}
