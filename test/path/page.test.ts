/** The page against the real gateway, in a real browser: "Shown by" of the main job. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { GatewayProcess } from "../support/gateway.ts";
import { findChromium, launchChromium, noChromium, openTab } from "../support/page/browser.ts";

const chromium = findChromium();
const pictures = process.env.PAGE_PICTURES;

interface Scene {
  readonly page: Page;
  readonly gateway: GatewayProcess;
  say(text: string): Promise<void>;
  picture(name: string): Promise<void>;
}

async function scene(context: TestContext, colorScheme: "light" | "dark" = "light"): Promise<Scene> {
  const gateway = await GatewayProcess.start(context);
  const browser = await launchChromium(chromium as string);
  const tab = await openTab(browser, { colorScheme });
  context.after(async () => {
    assert.deepEqual(tab.offences, []);
    await tab[Symbol.asyncDispose]();
    await browser.close();
  });
  await tab.page.goto(`${gateway.url}#signin=${gateway.ticket}`);
  const box = tab.page.getByRole("textbox", { name: /message/i });
  await box.waitFor();
  return {
    page: tab.page,
    gateway,
    async say(text) {
      await box.fill(text);
      await box.press("Enter");
    },
    async picture(name) {
      if (pictures === undefined) return;
      await mkdir(pictures, { recursive: true });
      await tab.page.screenshot({ path: join(pictures, `${name}.png`) });
    },
  };
}

function options() {
  return chromium === undefined ? { skip: noChromium } : {};
}

test(
  "page (path): a newcomer signs in with the printed link and gets a streamed reply",
  options(),
  async (context) => {
    const { page, say, picture, gateway } = await scene(context);
    assert.doesNotMatch(page.url(), /signin/);
    await say("hello");
    await page.locator(".message.assistant", { hasText: "I am the built-in demo model" }).waitFor();
    await page
      .getByText(/demo model \(offline\)/i)
      .first()
      .waitFor();
    await picture("chat");
    const again = await fetch(new URL("/auth/sign-in", gateway.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ticket: gateway.ticket }),
    });
    assert.equal(again.status, 401);
  },
);

test("page (path): a tool call is shown as it happens", options(), async (context) => {
  const { page, say, picture } = await scene(context);
  await say("list the files here");
  await page.locator(".thread").getByText("exec", { exact: true }).first().waitFor();
  await page.locator(".message.assistant", { hasText: "AGENTS.md" }).waitFor();
  await picture("tool");
});

test(
  "page (path): a command off the allowlist asks; deny refuses it, allow runs it once",
  options(),
  async (context) => {
    let visits = 0;
    const site = createServer((_request, response) => {
      visits += 1;
      response.end("a page from the site");
    }).listen(0, "127.0.0.1");
    context.after(() => site.close());
    await new Promise((resolve) => site.once("listening", resolve));
    const command = `curl -s http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
    const { page, say, picture } = await scene(context, "dark");

    await say(`run \`${command}\``);
    const card = page
      .locator(".thread")
      .getByRole("group", { name: /approval/i })
      .or(page.locator(".thread .approval"))
      .first();
    await card.getByText(command).first().waitFor();
    await picture("approval");
    await card.getByRole("button", { name: "Deny" }).click();
    await page.locator(".message.assistant", { hasText: /did not do it/ }).waitFor();
    assert.equal(visits, 0);

    await say(`please run \`${command}\``);
    const second = page.locator(".thread").getByRole("button", { name: "Allow once" }).last();
    await second.click();
    await page.locator(".message.assistant", { hasText: "a page from the site" }).waitFor();
    assert.equal(visits, 1);
  },
);
