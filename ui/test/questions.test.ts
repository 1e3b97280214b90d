import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
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

const chromiumPath = findChromium();

const color = {
  questionId: "color",
  header: "Color",
  question: "Which color should the \u202eroom be?",
  options: [{ label: "Red", description: "As a poppy." }, { label: "Blue" }],
};
const extras = {
  questionId: "extras",
  header: "Extras",
  question: "What else?",
  options: [{ label: "Lamp" }, { label: "Rug" }],
  multiSelect: true,
  isOther: true,
};
const key = { questionId: "key", header: "Key", question: "The door's code?", options: [], isSecret: true };

describe("questions on the page, in a browser", { skip: chromiumPath === undefined && noChromium }, () => {
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

  async function withPage(
    play: (page: Page, gateway: FakeGateway) => Promise<void>,
    options: { readonly prepare?: (gateway: FakeGateway) => void; readonly tab?: BrowserContextOptions } = {},
  ): Promise<void> {
    await using gateway = await FakeGateway.start({ folder: built.folder });
    options.prepare?.(gateway);
    await using tab = await openTab(browser, options.tab);
    tab.page.setDefaultTimeout(10_000);
    await tab.page.goto(gateway.signInUrl);
    await tab.page.getByLabel("Message", { exact: true }).waitFor();
    await gateway.called("question.list");
    await play(tab.page, gateway);
    assert.deepEqual(tab.offences, []);
  }

  const cardOf = (page: Page) => page.getByRole("form", { name: /questions? for you/i });

  it("shows what is asked in its conversation, and answers it with the keyboard alone", async () => {
    await withPage(async (page, gateway) => {
      gateway.ask("q1", [color, extras]);
      const card = cardOf(page);
      await card.getByText("U+202E").waitFor();
      await card.getByText("As a poppy.").waitFor();
      await card.getByText(/expires in \d+ min/).waitFor();
      assert.match(await page.title(), /^\(1\)/);
      assert.match(
        (await page.locator('[data-announces="questions"]').textContent()) ?? "",
        /One question is waiting for you/,
      );
      const answer = card.getByRole("button", { name: "Answer", exact: true });
      assert.equal(await answer.isDisabled(), true);
      // A group for each question, named by it.
      await card.getByRole("group", { name: /Which color/ }).waitFor();
      await card.getByRole("radio", { name: /Red/ }).focus();
      await page.keyboard.press("ArrowDown");
      assert.equal(await card.getByRole("radio", { name: "Blue" }).isChecked(), true);
      assert.equal(await answer.isDisabled(), true);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Space");
      await card.getByRole("checkbox", { name: "Something else" }).check();
      assert.equal(await answer.isDisabled(), true);
      await card.getByLabel("In your own words").fill("A cat");
      await answer.click({ trial: true });
      await card.getByLabel("In your own words").press("Enter");
      assert.deepEqual((await gateway.called("question.resolve")).params, {
        id: "q1",
        answers: { answers: { color: ["Blue"], extras: ["Lamp", "A cat"] } },
      });
      await card.waitFor({ state: "detached" });
      await page.getByText("Your answer was given.").waitFor();
      assert.equal(await page.title(), "OpenClaw");
    });
  });

  it("hides a secret as it is typed, and keeps it nowhere", async () => {
    await withPage(async (page, gateway) => {
      gateway.ask("q1", [key]);
      const field = cardOf(page).getByLabel("In your own words");
      assert.equal(await field.getAttribute("type"), "password");
      await cardOf(page).getByText("Only the program that asked gets this answer.").waitFor();
      await field.fill("1234-secret");
      await cardOf(page).getByRole("button", { name: "Answer", exact: true }).click();
      await cardOf(page).waitFor({ state: "detached" });
      const kept = await page.evaluate(
        () => JSON.stringify({ ...sessionStorage, ...localStorage }) + document.body.innerHTML,
      );
      assert.ok(!kept.includes("1234-secret"));
    });
  });

  it("takes a card away that was answered elsewhere, cancelled, or whose time is over", async () => {
    await withPage(
      async (page, gateway) => {
        // Asked before the page was opened.
        await cardOf(page).waitFor();
        gateway.endQuestion("q0", "answered");
        await cardOf(page).waitFor({ state: "detached" });
        gateway.ask("q1", [color]);
        await cardOf(page).getByRole("button", { name: "Do not answer" }).click();
        assert.deepEqual((await gateway.called("question.resolve")).params, { id: "q1", cancel: true });
        await cardOf(page).waitFor({ state: "detached" });
        // Its event never comes.
        gateway.ask("q2", [color], "agent:main:main", 1500);
        await cardOf(page).waitFor();
        await cardOf(page).waitFor({ state: "detached" });
        // Ended in the moment of the answer.
        gateway.ask("q3", [color]);
        gateway.questions = [];
        await cardOf(page).getByRole("radio", { name: "Blue" }).check();
        await cardOf(page).getByRole("button", { name: "Answer", exact: true }).click();
        await page.getByText("Your answer was not taken: this question is over: answered").waitFor();
        await cardOf(page).waitFor({ state: "detached" });
      },
      { prepare: (gateway) => gateway.ask("q0", [color]) },
    );
  });

  it("brings a question of another conversation up from anywhere", async () => {
    await withPage(async (page, gateway) => {
      gateway.ask("q1", [color], "agent:main:trip");
      await page.getByRole("button", { name: "Questions 1" }).waitFor();
      assert.equal(await cardOf(page).count(), 0);
      await page.getByLabel("Message", { exact: true }).press("Alt+q");
      const dialog = page.getByRole("dialog", { name: "Questions" });
      await dialog.getByText("agent:main:trip").waitFor();
      await dialog.getByRole("radio", { name: "Blue" }).check();
      await dialog.getByRole("button", { name: "Answer", exact: true }).click();
      await dialog.getByText("Nobody waits for an answer of yours.").waitFor();
    });
  });

  for (const colorScheme of ["light", "dark"] as const)
    it(`can be read in the ${colorScheme} theme, in a narrow window too`, async () => {
      await withPage(
        async (page, gateway) => {
          gateway.ask("q1", [color, extras, key]);
          await cardOf(page).getByRole("radio", { name: "Blue" }).check();
          assert.deepEqual(await page.evaluate(lowContrast), []);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
          assert.equal(wide, false);
          const file = process.env.QUESTION_PICTURES;
          if (file !== undefined) await page.screenshot({ path: `${file}/question-${colorScheme}.png` });
        },
        { tab: { colorScheme, viewport: { width: 420, height: 900 } } },
      );
    });
});
