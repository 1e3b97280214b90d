import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { build } from "vite";

const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The browser's path, or undefined when this machine has none. `CHROMIUM_PATH` comes first. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM_PATH;
  if (named !== undefined) return named;
  return places.find((path) => existsSync(path));
}

export const noChromium = "No Chromium found: set CHROMIUM_PATH or install the chromium package.";

export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface BuiltPage extends AsyncDisposable {
  readonly folder: string;
}

/** Builds the page into a folder of its own, so that tests do not depend on what was built before. */
export async function buildPage(): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), "page-"));
  const configFile = join(import.meta.dirname, "../../../ui/vite.config.ts");
  await build({ configFile, logLevel: "error", build: { outDir: folder, emptyOutDir: true } });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** A tab that remembers everything which must not happen. */
export interface WatchedTab extends AsyncDisposable {
  readonly page: Page;
  /** Policy violations, uncaught errors, dialogs, and requests to anywhere but loopback. */
  readonly offences: string[];
}

export async function openTab(browser: Browser, options: BrowserContextOptions = {}): Promise<WatchedTab> {
  const context = await browser.newContext({ viewport: { width: 1180, height: 820 }, ...options });
  const page = await context.newPage();
  const offences: string[] = [];
  page.on("pageerror", (error) => offences.push(`uncaught: ${error.message}`));
  page.on("dialog", (dialog) => {
    offences.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (/content security policy|trusted ?types?|violat/i.test(message.text())) offences.push(message.text());
  });
  page.on("request", (request) => {
    const { hostname } = new URL(request.url());
    if (hostname !== "127.0.0.1") offences.push(`request to ${request.url()}`);
  });
  return { page, offences, [Symbol.asyncDispose]: () => context.close() };
}
