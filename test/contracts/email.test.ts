import { after, before, describe } from "node:test";
import { Dovecot, dovecotMissing } from "../support/email/dovecot.ts";
import { emailBench } from "../support/email/harness.ts";
import { channelContract } from "./channel.ts";
import { channelAttacks } from "./channel-attacks.ts";

const missing = dovecotMissing();

describe("e-mail, against Dovecot", { skip: missing }, () => {
  let dovecot: Dovecot;
  before(async () => {
    dovecot = await Dovecot.start();
  });
  after(() => dovecot.stop());
  channelContract("e-mail, IMAP and SMTP", () => emailBench(dovecot));
  channelAttacks("e-mail, IMAP and SMTP", () => emailBench(dovecot));
});
