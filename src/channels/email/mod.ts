/**
 * E-mail: a mailbox over IMAP (imapflow, with IDLE), answers over SMTP (nodemailer). Holds the invariants of
 * channels/mod.ts; those that are e-mail's own:
 *
 * 1. A sender is proved only by the receiving server's own, topmost Authentication-Results; From alone is a claim.
 * 2. What a machine or a list sent is never handed in, so it is never answered; our answers say that they are automatic.
 * 3. An answer goes to the address that the message was from, never to a Reply-To and never to others.
 * 4. A message is marked as handled on the server only after its outcome was stored.
 * 5. The same message keeps its event id, however often and under whatever number it arrives.
 * 6. What a message repeats of others is a quotation; what people do not see in it is not read.
 * 7. No text, name or id becomes a header; no connection goes on without the security that was configured.
 */
export { openEmail } from "./channel.ts";
