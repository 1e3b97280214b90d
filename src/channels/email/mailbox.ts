import { readFileSync } from "node:fs";
import { ImapFlow, type MessageStructureObject } from "imapflow";
import type { Attachment } from "../../delivery/channel.ts";
import { InputError } from "../../kernel/mod.ts";
import { headersOf } from "./headers.ts";
import type { Mail } from "./inbound.ts";
import type { Credentials } from "./login.ts";
import type { EmailAccount, MailServer } from "./settings.ts";
import type { EmailState } from "./threads.ts";

/** Set on a message whose outcome is stored. */
const handledFlag = "OpenClawHandled";
const maxTextBytes = 256 * 1024;
const maxHeaderBytes = 256 * 1024;

/** One signed-in connection with the mailbox open. */
export class Mailbox {
  readonly uidValidity: string;
  /** Resolves once the connection is gone. */
  readonly closed: Promise<void>;
  onChange: () => void = () => {};
  readonly #client: ImapFlow;
  readonly #flag: string;
  readonly #firstUid: number;

  private constructor(client: ImapFlow, uidValidity: string, flag: string, firstUid: number) {
    this.#client = client;
    this.uidValidity = uidValidity;
    this.#flag = flag;
    this.#firstUid = firstUid;
    this.closed = new Promise((resolve) => {
      client.on("close", () => resolve());
      if (client.isClosed) resolve();
    });
    client.on("exists", () => this.onChange());
    client.on("flags", (event) => {
      // Our own mark comes back too.
      if (!event.flags?.has(flag)) this.onChange();
    });
  }

  /** Throws what imapflow throws; troubleOf makes words of it. */
  static async open(
    account: EmailAccount,
    credentials: Credentials,
    state: EmailState,
    signal: AbortSignal,
  ): Promise<Mailbox> {
    const client = await connect(account, credentials, signal);
    try {
      const box = await client.mailboxOpen(account.mailbox);
      const uidValidity = String(box.uidValidity);
      // Where a server keeps no flags but its own, "seen" has to say it.
      const flag = box.permanentFlags?.has("\\*") ? handledFlag : "\\Seen";
      let firstUid = state.start?.uidValidity === uidValidity ? state.start.firstUid : undefined;
      if (firstUid === undefined) {
        const marked = flag === handledFlag ? await search(client, { keyword: handledFlag }) : [];
        // Without a memory of our own the marks tell where we began; without marks it is now.
        firstUid = marked[0] ?? box.uidNext;
        state.began({ uidValidity, firstUid });
      }
      return new Mailbox(client, uidValidity, flag, firstUid);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Uids of messages that are not handled, oldest first. */
  async waiting(): Promise<readonly number[]> {
    const not = this.#flag === handledFlag ? { unKeyword: handledFlag } : { seen: false };
    const found = await search(this.#client, { uid: `${this.#firstUid}:*`, ...not });
    // "n:*" holds the last message even where that lies before n.
    return found.filter((uid) => uid >= this.#firstUid);
  }

  async handled(uid: number): Promise<void> {
    await this.#client.messageFlagsAdd(String(uid), [this.#flag], { uid: true });
  }

  /** Undefined when it is gone. */
  async read(uid: number): Promise<Mail | undefined> {
    const query = { uid: true, envelope: true, bodyStructure: true, headers: true, internalDate: true };
    const message = await this.#client.fetchOne(String(uid), query, { uid: true });
    // Another client may have removed it meanwhile.
    if (!message) return undefined;
    if (message.headers === undefined) return undefined;
    const parts = partsOf(message.bodyStructure);
    const text = parts.text && {
      kind: parts.text.kind,
      content: (await this.#download(uid, parts.text.part, maxTextBytes)).toString("utf8"),
    };
    const place = `${this.uidValidity}:${uid}`;
    const date = message.internalDate === undefined ? Number.NaN : new Date(message.internalDate).getTime();
    return {
      place,
      headers: headersOf(message.headers.subarray(0, maxHeaderBytes)),
      subject: message.envelope?.subject ?? "",
      fromName: message.envelope?.from?.[0]?.name ?? "",
      text,
      attachments: parts.attachments.map(({ node, ...attachment }) => ({
        ...attachment,
        reference: JSON.stringify([this.uidValidity, uid, node]),
      })),
      receivedAtMs: Number.isFinite(date) ? date : undefined,
    };
  }

  /** An attachment's content; throws an InputError when it is gone or too large. */
  async attachment(reference: string, maxBytes: number): Promise<Buffer> {
    const { uidValidity, uid, part } = placeOf(reference);
    if (uidValidity !== this.uidValidity)
      throw new InputError("the mailbox was made anew; ask for the file again");
    const content = await this.#download(uid, part, maxBytes + 1);
    if (content.length > maxBytes) throw new InputError(`the attachment is larger than ${maxBytes} bytes`);
    return content;
  }

  /** Waits for news until another command comes. */
  idle(): void {
    this.#client.idle().catch(() => {});
  }

  async ping(): Promise<void> {
    await this.#client.noop();
  }

  async quit(): Promise<void> {
    await this.#client.logout().catch(() => {});
    this.#client.close();
  }

  close(): void {
    this.#client.close();
  }

  async #download(uid: number, part: string, maxBytes: number): Promise<Buffer> {
    const { content } = await this.#client.download(String(uid), part, { uid: true, maxBytes });
    if (content === undefined) throw new InputError("the message is gone from the mailbox");
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(Buffer.from(chunk as Uint8Array));
    return Buffer.concat(chunks);
  }
}

/** Where an attachment lies; throws an InputError for what we did not write. */
function placeOf(reference: string): {
  readonly uidValidity: string;
  readonly uid: number;
  readonly part: string;
} {
  const match = /^\["(\d+)",(\d+),"(\d+(?:\.\d+)*)"\]$/.exec(reference);
  if (!match) throw new InputError("this is no attachment of a letter");
  return { uidValidity: match[1] ?? "", uid: Number(match[2]), part: match[3] ?? "" };
}

/** Is a message with that Message-ID filed under "Sent"? Undefined where there is no such folder. */
export async function isInSent(
  account: EmailAccount,
  credentials: Credentials,
  messageId: string,
): Promise<boolean | undefined> {
  const client = await connect(account, credentials);
  try {
    const folder = (await client.list()).find((item) => item.specialUse === "\\Sent");
    if (!folder) return undefined;
    await client.mailboxOpen(folder.path, { readOnly: true });
    return (await search(client, { header: { "message-id": `<${messageId}>` } })).length > 0;
  } finally {
    client.close();
  }
}

async function connect(
  account: EmailAccount,
  credentials: Credentials,
  signal?: AbortSignal,
): Promise<ImapFlow> {
  const { host, port, security } = account.imap;
  const client = new ImapFlow({
    host,
    port,
    secure: security === "tls",
    doSTARTTLS: security === "starttls",
    auth: { ...credentials },
    tls: tlsOf(account.imap),
    logger: false,
    disableAutoIdle: true,
    connectionTimeout: 20_000,
    greetingTimeout: 20_000,
  });
  // Each failure also comes as the rejection of whatever was being asked.
  client.on("error", () => {});
  const abort = () => client.close();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await client.connect();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  return client;
}

/** Throws as {@link Mailbox.open} does when the server does not let us in. */
export async function mayLogIn(account: EmailAccount, credentials: Credentials): Promise<void> {
  const client = await connect(account, credentials);
  await client.logout();
}

/** Throws an InputError for a CA file that cannot be read. */
export function tlsOf(server: MailServer): { readonly minVersion: "TLSv1.2"; readonly ca?: Buffer } {
  if (server.caFile === undefined) return { minVersion: "TLSv1.2" };
  try {
    return { minVersion: "TLSv1.2", ca: readFileSync(server.caFile) };
  } catch (error) {
    const code = (error as { readonly code?: string }).code ?? "error";
    throw new InputError(`tlsCaFile cannot be read (${code}); name a PEM file`);
  }
}

async function search(
  client: ImapFlow,
  query: Parameters<ImapFlow["search"]>[0],
): Promise<readonly number[]> {
  const found = await client.search(query, { uid: true });
  if (!Array.isArray(found)) throw new Error("the server did not answer a search");
  return [...found].sort((a, b) => a - b);
}

type Part = Omit<Attachment, "reference"> & { readonly node: string };

interface Parts {
  readonly text: { readonly kind: "plain" | "html"; readonly part: string } | undefined;
  readonly attachments: readonly Part[];
}

/** The first readable text (plain before HTML), and every other part; what is inside of an attached message stays there. */
export function partsOf(structure: MessageStructureObject | undefined): Parts {
  const texts: { kind: "plain" | "html"; part: string }[] = [];
  const attachments: Part[] = [];
  const visit = (node: MessageStructureObject): void => {
    if (node.childNodes && node.type.startsWith("multipart/")) {
      for (const child of node.childNodes) visit(child);
      return;
    }
    const kind = node.type === "text/plain" ? "plain" : node.type === "text/html" ? "html" : undefined;
    const part = node.part ?? "1";
    if (kind && node.disposition !== "attachment") texts.push({ kind, part });
    else attachments.push(attachmentOf(node, part));
  };
  if (structure) visit(structure);
  return { text: texts.find((item) => item.kind === "plain") ?? texts[0], attachments };
}

function attachmentOf(node: MessageStructureObject, part: string): Part {
  const [main] = node.type.split("/");
  const name = node.dispositionParameters?.filename ?? node.parameters?.name;
  return {
    kind: main === "image" || main === "audio" || main === "video" ? main : "file",
    claimedType: node.type.slice(0, 100),
    ...(name === undefined ? {} : { claimedName: name.slice(0, 255) }),
    ...(node.size === undefined ? {} : { claimedBytes: node.size }),
    node: part,
  };
}
