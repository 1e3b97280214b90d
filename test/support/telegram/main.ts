/** The fake Bot API server as a process: `node test/support/telegram/main.ts --port 0 --token 123:abc`. */
import { parseArgs } from "node:util";
import { FakeTelegram } from "./server.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    token: { type: "string" },
    username: { type: "string" },
  },
});

const fake = await FakeTelegram.start({
  port: Number(values.port),
  ...(values.token === undefined ? {} : { token: values.token }),
  ...(values.username === undefined ? {} : { username: values.username }),
});
// One line of JSON, so that whoever starts us can read where we are.
console.log(JSON.stringify({ url: fake.url, token: fake.token, bot: fake.bot }));
