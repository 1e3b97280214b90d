import { Readable } from "node:stream";
import MailComposer from "nodemailer/lib/mail-composer";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import XOAuth2 from "nodemailer/lib/xoauth2";
import type { OutboundMessage, SendResult } from "../../delivery/channel.ts";
import { InputError } from "../../kernel/mod.ts";
import { ownMessageId } from "./inbound.ts";
import { type Credential, type Credentials, LoginRefused } from "./login.ts";
import { tlsOf } from "./mailbox.ts";
import { addressOf, type EmailAccount } from "./settings.ts";
import type { EmailState, Thread } from "./threads.ts";

const retryAfterMs = 60_000;
const answerMs = 60_000;

/** Sends one message. Each attempt carries the same Message-ID. */
export async function sendMail(
  message: OutboundMessage,
  account: EmailAccount,
  credential: Credential,
  state: EmailState,
): Promise<SendResult> {
  const { conversation } = message;
  const thread = state.thread(conversation.id, conversation.threadId ?? "");
  const to = addressOf(conversation.id.replace(/^from:/, ""));
  if (to === undefined) return { outcome: "rejected", detail: "this is no e-mail address" };
  const text = textOf(message);
  if (text.trim() === "" && !message.file) return { outcome: "rejected", detail: "the message has no text" };
  const messageId = ownMessageId(message.id, account);
  let raw: Buffer;
  let credentials: Credentials;
  try {
    raw = await compose(message, account, { to, text, messageId, thread });
    credentials = await credential.get();
  } catch (error) {
    if (error instanceof LoginRefused) return { outcome: "rejected", detail: error.message };
    return {
      outcome: "retry",
      retryAfterMs,
      detail: "the message could not be made ready, or no token was given",
    };
  }
  const result = await transfer(account, credentials, to, raw, messageId);
  if (result.outcome === "rejected") credential.forget();
  return result;
}

function textOf(message: OutboundMessage): string {
  return (
    message.text + (message.choices ?? []).map((choice) => `\n${choice.label}: ${choice.command}`).join("")
  );
}

function compose(
  message: OutboundMessage,
  account: EmailAccount,
  parts: { to: string; text: string; messageId: string; thread: Thread | undefined },
): Promise<Buffer> {
  const { to, text, messageId, thread } = parts;
  const references = thread?.references ?? [];
  const answered = references.includes(message.replyToMessageId ?? "")
    ? message.replyToMessageId
    : references.at(-1);
  const { file } = message;
  const node = new MailComposer({
    from: { name: account.displayName, address: account.address },
    to: { name: "", address: to },
    subject: subjectOf(thread, account),
    text,
    messageId: `<${messageId}>`,
    ...(answered === undefined
      ? {}
      : { inReplyTo: `<${answered}>`, references: references.map((id) => `<${id}>`).join(" ") }),
    // What the other side's machines answer to would come back for ever (RFC 3834).
    headers: { "Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All" },
    ...(file ? { attachments: [{ path: file.path, filename: file.name, contentType: file.type }] } : {}),
    disableUrlAccess: true,
  }).compile();
  return new Promise((resolve, reject) => {
    node.build((error: Error | null, built?: Buffer) => (error || !built ? reject(error) : resolve(built)));
  });
}

function subjectOf(thread: Thread | undefined, account: EmailAccount): string {
  const subject = (thread?.subject ?? "").replace(/[\p{Cc}]/gu, " ").trim();
  if (subject === "") return `Message from ${account.displayName || account.address}`;
  return /^re\s*:/i.test(subject) ? subject : `Re: ${subject}`;
}

/** One connection, one message. What went wrong before the server asked for the content was surely not sent. */
function transfer(
  account: EmailAccount,
  credentials: Credentials,
  to: string,
  raw: Buffer,
  messageId: string,
): Promise<SendResult> {
  return new Promise((resolve) => {
    let isLeaving = false;
    const { host, port, security } = account.smtp;
    let tls: ReturnType<typeof tlsOf>;
    try {
      tls = tlsOf(account.smtp);
    } catch (error) {
      const detail = error instanceof InputError ? error.message : "the connection could not be made";
      return resolve({ outcome: "retry", retryAfterMs, detail });
    }
    const connection = new SMTPConnection({
      host,
      port,
      secure: security === "tls",
      requireTLS: security === "starttls",
      ignoreTLS: security === "none",
      tls,
      name: account.address.slice(account.address.lastIndexOf("@") + 1),
      connectionTimeout: 20_000,
      greetingTimeout: 20_000,
      socketTimeout: answerMs,
      logger: false,
    });
    const end = (result: SendResult) => {
      // The first end counts: closing ends it once more.
      resolve(result);
      connection.close();
    };
    const fail = (error: unknown) => end(outcomeOf(error, isLeaving));
    connection.on("error", fail);
    connection.on("end", () => fail(new Error("closed")));
    // Read only when the server has asked for the content.
    const content = new Readable({
      read() {
        isLeaving = true;
        this.push(raw);
        this.push(null);
      },
    });
    connection.connect((error) => {
      if (error) return fail(error);
      connection.login(loginOf(credentials), (refused) => {
        if (refused) return fail(refused);
        connection.send({ from: account.address, to: [to] }, content, (failed) => {
          if (failed) return fail(failed);
          resolve({ outcome: "sent", platformId: messageId });
          connection.quit();
        });
      });
    });
  });
}

function loginOf(credentials: Credentials) {
  const { user } = credentials;
  if ("pass" in credentials) return { user, credentials: { user, pass: credentials.pass } };
  return { user, oauth2: new XOAuth2({ user, accessToken: credentials.accessToken }) };
}

/** By the server's code where it gave one: 4xx may pass, 5xx will not. */
export function outcomeOf(error: unknown, isLeaving: boolean): SendResult {
  const { responseCode, code } = error as { readonly responseCode?: unknown; readonly code?: unknown };
  if (typeof responseCode === "number" && responseCode >= 400) {
    const detail = `the SMTP server said ${responseCode}${code === "EAUTH" ? ": it refused the login" : ""}`;
    return responseCode >= 500 ? { outcome: "rejected", detail } : { outcome: "retry", retryAfterMs, detail };
  }
  const name = typeof code === "string" && /^[A-Z0-9_]{1,60}$/.test(code) ? code : "no answer";
  return isLeaving
    ? { outcome: "unknown", detail: `the message left, then the connection was lost (${name})` }
    : { outcome: "retry", retryAfterMs, detail: `no connection to the SMTP server (${name})` };
}
