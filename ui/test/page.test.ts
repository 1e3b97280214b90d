import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { qrSymbol } from "../../src/cli/qr-symbol.ts";
import {
  type BuiltPage,
  buildPage,
  findChromium,
  launchChromium,
  noChromium,
  openTab,
} from "../../test/support/page/browser.ts";
import { FakeGateway } from "../../test/support/page/fake-gateway.ts";
import { lowContrast } from "./contrast.ts";

const main = "agent:main:main";
const chromiumPath = findChromium();
const waitMs = 10_000;

describe("the page in a browser", { skip: chromiumPath === undefined && noChromium }, () => {
  let built: BuiltPage;
  let browser: Browser;

  before(async () => {
    built = await buildPage();
    browser = await launchChromium(chromiumPath ?? "");
  });
  after(async () => {
    await browser?.close();
    await built?.[Symbol.asyncDispose]();
  });

  /** A signed-in page and its gateway; fails when anything forbidden happened on the way. */
  async function withPage(
    play: (page: Page, gateway: FakeGateway) => Promise<void>,
    options: { readonly prepare?: (gateway: FakeGateway) => void; readonly tab?: BrowserContextOptions } = {},
  ): Promise<void> {
    await using gateway = await FakeGateway.start({ folder: built.folder });
    options.prepare?.(gateway);
    await using tab = await openTab(browser, options.tab);
    tab.page.setDefaultTimeout(waitMs);
    await tab.page.goto(gateway.signInUrl);
    await tab.page.getByLabel("Message", { exact: true }).waitFor();
    await gateway.called("chat.history");
    await play(tab.page, gateway);
    assert.deepEqual(tab.offences, []);
  }

  const messageBox = (page: Page) => page.getByLabel("Message", { exact: true });
  const send = async (page: Page, words: string) => {
    await messageBox(page).fill(words);
    await messageBox(page).press("Enter");
  };

  it("trades the ticket for a session and takes it out of the address bar", async () => {
    await withPage(async (page, gateway) => {
      assert.equal(page.url(), gateway.url);
      assert.equal(
        await page.evaluate(() =>
          `${document.cookie}${JSON.stringify({ ...sessionStorage, ...localStorage })}`.includes("ticket"),
        ),
        false,
      );
      await page.reload();
      await messageBox(page).waitFor();
    });
  });

  it("shows why a ticket is refused and takes the token instead", async () => {
    await using gateway = await FakeGateway.start({ folder: built.folder });
    await using tab = await openTab(browser);
    const { page } = tab;
    await page.goto(`${gateway.url}#signin=old`);
    await page.getByText("This sign-in link was used already or has expired.").waitFor();
    assert.equal(page.url(), gateway.url);
    await page.getByLabel("Gateway token").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("This token is not the gateway's.").waitFor();
    await page.getByLabel("Gateway token").fill(gateway.token);
    await page.keyboard.press("Enter");
    await messageBox(page).waitFor();
    assert.deepEqual(tab.offences, []);
  });

  it("never follows a gateway address from a link (A-027)", async () => {
    await using gateway = await FakeGateway.start({ folder: built.folder });
    await using tab = await openTab(browser);
    await tab.page.goto(
      `${gateway.url}?gatewayUrl=ws://203.0.113.9/#gatewayUrl=ws://203.0.113.9/&signin=${gateway.ticket}`,
    );
    await messageBox(tab.page).waitFor();
    await gateway.called("chat.history");
    assert.equal(tab.page.url(), gateway.url);
    assert.deepEqual(tab.offences, []);
  });

  it("streams a reply as it grows and shows it once", async () => {
    await withPage(async (page, gateway) => {
      await send(page, "hello");
      const run = await gateway.runs.next();
      assert.equal(run.message, "hello");
      run.status("starting_model");
      await page.getByText("Thinking").waitFor();
      run.delta("Good morn");
      await page.locator(".thread").getByText("Good morn", { exact: true }).waitFor();
      run.delta("Good morning. How **are** you?");
      await page.locator("strong", { hasText: "are" }).waitFor();
      run.final("Good morning. How **are** you?");
      await page.locator(".thread").getByText("mock-1").waitFor();
      assert.equal(await page.locator(".message.assistant").count(), 1);
      assert.equal(await page.locator(".message.user").count(), 1);
      assert.equal(await messageBox(page).inputValue(), "");
      assert.match((await page.locator('[data-announces="reply"]').textContent()) ?? "", /you\?/);
    });
  });

  it("keeps the draft when the gateway refuses the message", async () => {
    await withPage(async (page, gateway) => {
      await messageBox(page).fill("keep me");
      gateway.refuseSockets = true;
      gateway.dropSockets();
      await page.getByText("No connection to the gateway").waitFor();
      await messageBox(page).press("Enter");
      await page.getByText("Not confirmed by the gateway yet").waitFor();
      assert.equal(await messageBox(page).inputValue(), "keep me");
      await page.reload();
      await page.getByText("Not confirmed by the gateway yet").waitFor();
      assert.equal(await messageBox(page).inputValue(), "keep me");
      gateway.refuseSockets = false;
      await page.getByRole("button", { name: "Try now" }).click();
      assert.equal((await gateway.runs.next()).message, "keep me");
      await page.locator(".message.user", { hasText: "keep me" }).waitFor();
      assert.equal(await messageBox(page).inputValue(), "");
    });
  });

  it("resends under the same key what got no answer, and nothing is doubled", async () => {
    await withPage(async (page, gateway) => {
      gateway.swallowNextSendAnswer = true;
      await send(page, "once only");
      const run = await gateway.runs.next();
      gateway.dropSockets();
      await page.getByText("No connection to the gateway").waitFor();
      await page.getByRole("button", { name: "Try now" }).click();
      const again = await gateway.called("chat.send", 2);
      assert.equal(again.params.idempotencyKey, run.runId);
      run.final("Received once.");
      await page.locator(".thread").getByText("Received once.").waitFor();
      assert.equal(gateway.runs.waitingCount, 0);
      assert.equal(await page.locator(".message.user").count(), 1);
      assert.equal(await page.locator(".message.assistant").count(), 1);
    });
  });

  it("fetches the record again when events were missed", async () => {
    await withPage(async (page, gateway) => {
      gateway.history.set(main, [
        { role: "assistant", content: "said while nobody listened", __openclaw: { id: "x" } },
      ]);
      gateway.loseAnEvent();
      gateway.emit("tick", { ts: 1 });
      await page.locator(".thread").getByText("said while nobody listened").waitFor();
    });
  });

  it("goes back to the sign-in when its access ends", async () => {
    await withPage(async (page, gateway) => {
      gateway.forgetSessions();
      await page.getByText("Your access was changed on the gateway. Sign in again.").waitFor();
    });
  });

  it("shows a tool call from start to result, and the reply below it", async () => {
    await withPage(async (page, gateway) => {
      await send(page, "list");
      const run = await gateway.runs.next();
      run.delta("I will look.");
      run.toolStarts("call-1", "exec", { command: "ls -la", timeoutMs: 5000 });
      const card = page.getByLabel("Tool exec");
      await card.getByText("Running").waitFor();
      await card.getByText("ls -la").waitFor();
      run.toolEnds("call-1", "total 0\nnotes.txt");
      await card.getByText("Done").waitFor();
      await card.getByText("Output · 2 lines").click();
      await card.getByText("notes.txt").waitFor();
      run.final("There is one file.");
      await page.locator(".thread").getByText("There is one file.").waitFor();
      const order = await page
        .locator(".thread .column > *")
        .evaluateAll((all) => all.map((one) => one.className.split(" ")[1] ?? ""));
      assert.deepEqual(order, ["user", "assistant", "tool-done", "assistant"]);
      await page.reload();
      await page.locator(".thread").getByText("There is one file.").waitFor();
      assert.equal(await page.getByLabel("Tool exec").count(), 1);
    });
  });

  it("asks before it runs: allow once", async () => {
    await withPage(async (page, gateway) => {
      await send(page, "clean up");
      const run = await gateway.runs.next();
      run.toolStarts("call-1", "exec", { command: "rm -r build" });
      run.asksApproval("a1", {
        command: "rm -r build \u202egnp.exe",
        cwd: "/home/someone/project",
        toolCallId: "call-1",
        warningText: "It removes files.",
        allowedDecisions: ["allow-once", "deny"],
      });
      const card = page.getByLabel("Approval needed");
      await card.getByText("U+202E").waitFor();
      await card.getByText("/home/someone/project").waitFor();
      await card.getByText("It removes files.").waitFor();
      await card.getByText(/expires in \d+ min/).waitFor();
      assert.equal(await card.getByRole("button", { name: "Always allow" }).count(), 0);
      assert.match(await page.title(), /^\(1\)/);
      await card.getByRole("button", { name: "Allow once" }).click();
      assert.deepEqual((await gateway.called("exec.approval.resolve")).params, {
        id: "a1",
        decision: "allow-once",
      });
      await card.waitFor({ state: "detached" });
    });
  });

  it("asks before it runs: deny, from the list", async () => {
    await withPage(async (page, gateway) => {
      await send(page, "clean up");
      const run = await gateway.runs.next();
      run.asksApproval("a2", {
        command: "true\n".repeat(200),
        allowedDecisions: ["allow-once", "allow-always", "deny"],
      });
      await page.getByText("Allowed once.").waitFor({ state: "detached" });
      await messageBox(page).press("Alt+a");
      const dialog = page.getByRole("dialog", { name: "Approvals" });
      await dialog.getByText("Show all of the command before you allow it.").waitFor();
      await dialog.getByRole("button", { name: "Deny" }).click({ trial: true });
      assert.equal(await dialog.getByRole("button", { name: "Allow once" }).isDisabled(), true);
      assert.equal(await dialog.getByRole("button", { name: "Always allow" }).isDisabled(), true);
      await dialog.getByRole("button", { name: /Show all of it/ }).click();
      await dialog.getByRole("button", { name: "Always allow" }).click({ trial: true });
      await dialog.getByRole("button", { name: "Deny" }).click();
      assert.deepEqual((await gateway.called("exec.approval.resolve")).params, {
        id: "a2",
        decision: "deny",
      });
      await dialog.getByText("Nothing waits for you.").waitFor();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    });
  });

  it("can be used with the keyboard alone", async () => {
    await withPage(async (page, gateway) => {
      assert.equal(await page.evaluate(() => document.activeElement?.id), "message");
      await page.getByText("Skip to the message box").focus();
      assert.equal(
        await page
          .getByText("Skip to the message box")
          .evaluate((link) => link.getBoundingClientRect().top >= 0),
        true,
      );
      assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the message box");
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "message");
      await page.keyboard.type("line one");
      await page.keyboard.press("Shift+Enter");
      await page.keyboard.type("line two");
      await page.keyboard.press("Enter");
      const run = await gateway.runs.next();
      assert.equal(run.message, "line one\nline two");
      run.delta("This will take long");
      await page.locator(".thread").getByText("This will take long").waitFor();
      await page.keyboard.press("Escape");
      assert.equal((await gateway.called("chat.abort")).params.sessionKey, main);
      run.aborted("This will take long");
      await page.getByText("Stopped before it was finished.").waitFor();
      await page.keyboard.press("Alt+n");
      await page.getByText("What should we do?").waitFor();
      await page.keyboard.type("in a new one");
      await page.keyboard.press("Enter");
      assert.match((await gateway.runs.next()).sessionKey, /^agent:main:web-[0-9a-f]{8}$/);
      await page.keyboard.press("Alt+g");
      await page.getByRole("dialog", { name: "Gateway" }).getByText("1.2.3").waitFor();
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => document.activeElement?.id === "message");
    });
  });

  it("follows the end as it grows, and leaves a reader alone who scrolled up", async () => {
    await withPage(async (page, gateway) => {
      const atEnd = () => {
        const shown = document.querySelector(".thread");
        return shown !== null && shown.scrollHeight - shown.scrollTop - shown.clientHeight < 2;
      };
      await send(page, "long");
      const run = await gateway.runs.next();
      run.delta("line\n\n".repeat(60));
      await page.waitForFunction(atEnd);
      run.delta("line\n\n".repeat(90));
      await page.waitForFunction(() => document.querySelectorAll(".prose p").length === 90);
      await page.waitForFunction(atEnd);
      // Growth between a scroll of the page's own and its event must not pass for a reader's scroll.
      for (let call = 0; call < 8; call += 1) {
        run.toolStarts(`burst-${call}`, "exec", { command: "true\n".repeat(6) });
        run.toolEnds(`burst-${call}`, "refused\n".repeat(9), true);
      }
      await page.waitForFunction(() => document.querySelectorAll(".tool-failed").length === 8);
      await page.waitForFunction(atEnd);
      run.delta(`${"line\n\n".repeat(90)}after\n\n${"more\n\n".repeat(40)}`);
      await page.locator(".prose p", { hasText: "more" }).last().waitFor();
      await page.waitForFunction(atEnd);
      await page.locator(".thread").hover();
      await page.mouse.wheel(0, -3000);
      await page.getByRole("button", { name: "Newest" }).waitFor();
      const top = await page.locator(".thread").evaluate((shown) => shown.scrollTop);
      const before = await page.locator(".prose p").count();
      run.final(`${"line\n\n".repeat(90)}after\n\n${"more\n\n".repeat(80)}`);
      await page.waitForFunction((count) => document.querySelectorAll(".prose p").length > count, before);
      assert.equal(await page.locator(".thread").evaluate((shown) => shown.scrollTop), top);
      await page.getByRole("button", { name: "Newest" }).click();
      await page.waitForFunction(atEnd);
    });
  });

  it("gives every button a name", async () => {
    await withPage(async (page, gateway) => {
      await send(page, "hello");
      const run = await gateway.runs.next();
      run.final("```js\n1\n```");
      await page.getByRole("button", { name: "Copy" }).waitFor();
      const nameless = await page
        .locator("button")
        .evaluateAll(
          (all) =>
            all.filter((one) => !(one.getAttribute("aria-label") ?? one.textContent ?? "").trim()).length,
        );
      assert.equal(nameless, 0);
    });
  });

  it("renames, resets and deletes a conversation, each after asking", async () => {
    const other = "agent:main:web-1";
    const prepare = (gateway: FakeGateway) => {
      gateway.history.set(main, [{ role: "user", content: "first", __openclaw: { id: "m1" } }]);
      gateway.history.set(other, [{ role: "user", content: "second", __openclaw: { id: "m2" } }]);
    };
    await withPage(
      async (page, gateway) => {
        await page
          .getByRole("navigation")
          .getByRole("button", { name: /second/ })
          .click();
        await page.locator(".message.user", { hasText: "second" }).waitFor();
        const act = async (name: string) => {
          await page.getByRole("button", { name: "Conversation actions" }).click();
          await page.getByRole("button", { name }).click();
        };
        await act("Rename…");
        await page.getByRole("dialog").getByLabel("Name").fill("Garden");
        await page.keyboard.press("Enter");
        assert.deepEqual((await gateway.called("sessions.patch")).params, { key: other, label: "Garden" });
        await page.getByRole("heading", { name: "Garden" }).waitFor();
        await act("Delete…");
        assert.equal(
          gateway.calls.some((call) => call.method === "sessions.delete"),
          false,
        );
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
        await gateway.called("sessions.delete");
        await page.locator(".message.user", { hasText: "first" }).waitFor();
        await act("Reset…");
        await page.getByRole("dialog").getByRole("button", { name: "Reset" }).click();
        await page.getByText("What should we do?").waitFor();
      },
      { prepare },
    );
  });

  it("explains who may talk, rule by rule, and who reaches a tool, with the keyboard", async () => {
    await withPage(async (page, gateway) => {
      await page.getByRole("button", { name: "Who may talk" }).press("Enter");
      const dialog = page.getByRole("dialog", { name: "Who may talk" });
      await dialog.getByLabel("Sender's id").fill("123");
      await dialog.getByLabel("Group's id").fill("-1001");
      await dialog.getByLabel("mentions the agent").check();
      await dialog.getByLabel("Sender's id").press("Enter");
      const { params } = await gateway.called("access.explain");
      assert.deepEqual(params, {
        channel: "telegram",
        sender: "123",
        text: "hello",
        mention: true,
        chat: "-1001",
        kind: "group",
      });
      await dialog.getByText("It does not reach the agent.").waitFor();
      await dialog.getByText("<b>telegram</b>").waitFor();
      await dialog.getByText("openclaw.json:7 channels.telegram.dmPolicy").waitFor();
      await dialog.getByText("pair the sender").waitFor();
      await dialog.getByRole("button", { name: "Show" }).click();
      await dialog.getByText("an approval").waitFor();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    });
  });

  for (const colorScheme of ["light", "dark"] as const) {
    it(`shows what links a device while there is something to scan, in ${colorScheme}`, async () => {
      const showing = (state: object) => ({
        channelOrder: ["whatsapp"],
        channelLabels: { whatsapp: "WhatsApp" },
        channelAccounts: { whatsapp: [{ accountId: "default", ...state }] },
      });
      await withPage(
        async (page, gateway) => {
          gateway.channels = showing({ state: "starting", linkCode: "2@first" });
          await page.getByRole("button", { name: "Gateway" }).click();
          const symbol = page.getByRole("img", { name: /Scan it with WhatsApp .*Linked devices/ });
          await symbol.waitFor();
          assert.deepEqual(await symbol.evaluate(modulesOf), qrSymbol("2@first"));
          assert.deepEqual(await page.evaluate(lowContrast), []);
          // Dark on white in either theme, with a margin of four modules.
          assert.deepEqual(await symbol.evaluate(coloursOf), ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]);
          gateway.channels = showing({ state: "starting", linkCode: "2@the second one, which is longer" });
          await page.waitForFunction(
            (before) => document.querySelector(".link-code path")?.getAttribute("d") !== before,
            await symbol.locator("path").getAttribute("d"),
          );
          assert.deepEqual(await symbol.evaluate(modulesOf), qrSymbol("2@the second one, which is longer"));
          assert.equal(
            (await page.content()).includes("2@"),
            false,
            "the code itself is no text of the page",
          );
          assert.equal(
            await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }).includes("2@")),
            false,
          );
          gateway.channels = showing({ state: "connected", identity: "+15550001234" });
          await symbol.waitFor({ state: "detached" });
          await page.getByText("+15550001234").waitFor();
        },
        { tab: { colorScheme } },
      );
    });
  }

  it("hides what links a device when the gateway is away: it may be an old one", async () => {
    await withPage(async (page, gateway) => {
      gateway.channels = { channelAccounts: { whatsapp: [{ state: "starting", linkCode: "2@first" }] } };
      await page.getByRole("button", { name: "Gateway" }).click();
      const symbol = page.getByRole("img", { name: /Linked devices/ });
      await symbol.waitFor();
      gateway.refuseSockets = true;
      gateway.dropSockets();
      await symbol.waitFor({ state: "detached" });
    });
  });

  it("shows who asks for access and answers with the code", async () => {
    const request = {
      channel: "telegram",
      accountId: "default",
      requestId: "AB12CD",
      senderId: "42",
      senderLabel: "<b>Mallory</b>\u202e",
      expiresAt: new Date(Date.now() + 600_000).toISOString(),
    };
    await withPage(async (page, gateway) => {
      gateway.pairing = [request];
      gateway.emit("channels.pairing.changed", {});
      await page.getByRole("button", { name: /Access requests\s*1/ }).click();
      const dialog = page.getByRole("dialog", { name: "Access requests" });
      await dialog.getByText("<b>Mallory</b>").waitFor();
      await dialog.getByText("AB12CD").waitFor();
      await dialog.getByRole("button", { name: "Approve" }).click();
      const { params } = await gateway.called("channels.pairing.approve");
      assert.deepEqual(params, { channel: "telegram", accountId: "default", requestId: "AB12CD" });
      await dialog.getByText("Nobody asks to be let in.").waitFor();
    });
  });

  it("says clearly that the demo model answers", async () => {
    await using gateway = await FakeGateway.start({ folder: built.folder, provider: "demo", model: "demo" });
    await using tab = await openTab(browser);
    await tab.page.goto(gateway.signInUrl);
    await tab.page.getByText("Demo model (offline)").waitFor();
    await tab.page.getByText("To connect a real model").waitFor();
  });

  it("shows hostile text as text, everywhere (A-232, A-233, A-235)", async () => {
    const hostile = `<img src=x onerror="alert(1)"></script><script>alert(2)</script>`;
    const prepare = (gateway: FakeGateway) => {
      gateway.history.set(main, [
        { role: "user", content: hostile, senderName: hostile, __openclaw: { id: "m1" } },
      ]);
      gateway.labels.set(main, `${hostile}\u202e`);
      gateway.channels = {
        channelOrder: ["telegram"],
        channelLabels: { telegram: hostile },
        channelAccounts: { telegram: [{ accountId: hostile, state: hostile, lastError: hostile }] },
      };
    };
    await withPage(
      async (page, gateway) => {
        await send(page, hostile);
        const run = await gateway.runs.next();
        run.toolStarts("c1", hostile, { [hostile]: hostile });
        run.toolEnds("c1", hostile, true);
        run.asksApproval("a1", { command: hostile, cwd: hostile, warningText: hostile, host: hostile });
        gateway.emit("execute", { sessionKey: main, code: "alert(3)" });
        gateway.emit("agent", {
          runId: run.runId,
          sessionKey: main,
          stream: "html",
          data: { html: hostile },
        });
        run.final(
          [
            hostile,
            "[a](javascript:alert(4)) [b](JaVa\tScript:alert(5)) [c](&#106;avascript:alert(6)) [d](data:text/html;base64,PHNjcmlwdD4=)",
            "![picture](http://203.0.113.9/?secret) <svg/onload=alert(7)> <iframe srcdoc='<script>alert(8)</script>'></iframe>",
            "[good](https://good.example/) [e](https://bank.example@evil.example/)",
          ].join("\n\n"),
        );
        await page.getByRole("link", { name: "good" }).waitFor();
        const links = await page
          .locator(".thread a")
          .evaluateAll((all) => all.map((one) => [one.getAttribute("href"), one.getAttribute("rel")]));
        assert.deepEqual(links, [
          ["http://203.0.113.9/?secret", "noopener noreferrer"],
          ["https://good.example/", "noopener noreferrer"],
        ]);
        await page.keyboard.press("Alt+g");
        await page.getByRole("dialog").waitFor();
        assert.equal(
          await page.locator("#page img, #page script, #page iframe, #page svg[onload]").count(),
          0,
        );
      },
      { prepare },
    );
  });

  it("stands hundreds of levels of nesting and huge replies", async () => {
    await withPage(async (page, gateway) => {
      await send(page, "bomb");
      const run = await gateway.runs.next();
      run.delta(`${">".repeat(5000)} deep`);
      run.delta("[".repeat(70_000));
      run.final(`${"- ".repeat(4000)} end of the bomb`);
      await page.locator(".message.assistant", { hasText: "end of the bomb" }).waitFor();
      await send(page, "still there?");
      await gateway.runs.next();
    });
  });

  it("is usable 360 pixels wide and keeps the chosen theme", async () => {
    await withPage(
      async (page) => {
        const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.equal(await overflow(), 0);
        await page.getByRole("button", { name: "Open the menu" }).click();
        await page.getByRole("button", { name: "Use the dark theme" }).click();
        assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "New conversation" }).waitFor({ state: "hidden" });
        await page.reload();
        await messageBox(page).waitFor();
        assert.equal(
          await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme),
          "dark",
        );
        assert.equal(await overflow(), 0);
      },
      { tab: { viewport: { width: 360, height: 700 } } },
    );
  });

  for (const colorScheme of ["light", "dark"] as const) {
    it(`shows a picture in its place and any other file as a download, in ${colorScheme}`, async () => {
      await withPage(
        async (page, gateway) => {
          gateway.files.set("picture", { type: "image/png", bytes: widePng });
          gateway.files.set("drawing", { type: "application/octet-stream", bytes: Buffer.from("<svg/>") });
          const block = (fileName: string, mimeType: string, sizeBytes: number, url?: string) => ({
            type: "attachment",
            ...{ fileName, mimeType, sizeBytes, url },
          });
          await send(page, "show me");
          const run = await gateway.runs.next();
          run.final("Here they are.", "mock", "mock-1", [
            block("october.png", "image/png", 134_393, "/chat/files?picture"),
            block("drawing.svg", "image/svg+xml", 71, "/chat/files?drawing"),
            block("lost.png", "image/png", 2_097_152, "/chat/files?lost"),
            block("elsewhere.png", "image/png", 9, "https://a.example/x.png"),
            block("tele\u202egnp.png", "image/png", 9),
          ]);
          const picture = page.getByRole("img", { name: "Picture: october.png" });
          await picture.waitFor();
          await page.getByText("lost.png").waitFor();
          const files = page.getByRole("list", { name: "Files" }).getByRole("listitem");
          assert.deepEqual(
            (await files.allInnerTexts()).map((words) => words.replaceAll("\n", " ")),
            [
              "october.png image/png, 131 KB",
              "drawing.svg image/svg+xml, 71 bytes",
              "lost.png image/png, 2.0 MB · could not be shown; the gateway may not have it any more",
              "elsewhere.png image/png, 9 bytes · sent to the chat app",
              "teleU+202Egnp.png image/png, 9 bytes · sent to the chat app",
            ],
          );
          assert.equal(await page.locator(".message.assistant").count(), 1);
          // Large as it is, it leaves room for what is said around it.
          const box = await picture.boundingBox();
          assert.ok(box && box.width > 100 && box.width <= 760 && box.height <= 384, JSON.stringify(box));
          // All of it by keyboard: the picture, its download, and the other file's.
          await page.getByRole("link", { name: "Open the picture october.png" }).focus();
          const focused = () => page.evaluate(() => document.activeElement?.getAttribute("download"));
          await page.keyboard.press("Tab");
          assert.equal(await focused(), "october.png");
          await page.keyboard.press("Tab");
          assert.equal(await focused(), "drawing.svg");
          const downloaded = page.waitForEvent("download");
          await page.keyboard.press("Enter");
          assert.equal((await downloaded).suggestedFilename(), "drawing.svg");
          assert.deepEqual(await page.evaluate(lowContrast), []);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
          const folder = process.env.PAGE_SCREENSHOTS;
          if (folder !== undefined) await page.screenshot({ path: join(folder, `files-${colorScheme}.png`) });
          await page.reload();
          await picture.waitFor();
        },
        { tab: { colorScheme } },
      );
    });
  }

  for (const colorScheme of ["light", "dark"] as const) {
    it(`is readable in ${colorScheme}: every text has a contrast of at least 4.5`, async () => {
      const prepare = (gateway: FakeGateway) => {
        gateway.history.set(main, [{ role: "user", content: "first", __openclaw: { id: "m1" } }]);
      };
      await withPage(
        async (page, gateway) => {
          await send(page, "show everything");
          const run = await gateway.runs.next();
          run.toolStarts("c1", "read", { path: "/etc/hosts" });
          run.toolEnds("c1", "refused", true);
          run.delta("> quoted [link](https://a.example/)\n\n`code`\n\n```js\n1\n```\n\n|a|\n|-|\n|b|");
          run.toolStarts("c2", "exec", { command: "ls" });
          run.asksApproval("a1", { command: "ls \u202e \u043e", toolCallId: "c2", warningText: "Why." });
          await page.locator(".thread table").waitFor();
          await page.getByRole("button", { name: "Allow once" }).click({ trial: true });
          assert.deepEqual(await page.evaluate(lowContrast), []);
          const folder = process.env.PAGE_SCREENSHOTS;
          if (folder !== undefined) await page.screenshot({ path: join(folder, `${colorScheme}.png`) });
        },
        { prepare, tab: { colorScheme } },
      );
    });
  }
});

/** A PNG of 1600 by 900 pixels, white, one bit each. */
const widePng = pngOf(1600, 900);

function pngOf(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head[8] = 1;
  const row = Buffer.concat([Buffer.of(0), Buffer.alloc(Math.ceil(width / 8), 0xff)]);
  const rows = Buffer.concat(Array.from({ length: height }, () => row));
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Runs in the page: the symbol's modules as drawn, each looked for at its middle, without the margin. */
function modulesOf(symbol: SVGElement | HTMLElement): boolean[][] {
  const path = symbol.querySelector("path");
  const count = Number(symbol.getAttribute("viewBox")?.split(" ")[2]) - 8;
  const isDark = (x: number, y: number) => path?.isPointInFill(new DOMPoint(x + 4.5, y + 4.5)) === true;
  return Array.from({ length: count }, (_, y) => Array.from({ length: count }, (_, x) => isDark(x, y)));
}

/** Runs in the page: the colours of the ground and of the modules. */
function coloursOf(symbol: SVGElement | HTMLElement): string[] {
  return ["rect", "path"].map((name) => {
    const part = symbol.querySelector(name);
    return part ? getComputedStyle(part).fill : "";
  });
}
