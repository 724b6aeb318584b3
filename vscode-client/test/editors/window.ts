/// <reference lib="dom" />
/**
 * A VS Code window in a browser without a screen, used as a person would: by keys, and by looking. Knows the page; knows
 * nothing of Setfill.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { format } from "node:util";

import { type BrowserContext, chromium, type Locator, type Page } from "playwright-core";

import type { CodeServer } from "./code_server";
import { TEST_OUTPUT, TESTS_ENDED } from "./output";
import { until } from "./waiting";

/** Where pictures go: of what failed, and those that a session asks for. */
export const PICTURES = path.resolve("out/pictures");

const ARGUMENTS = [
  "--no-sandbox", // tests run as root in containers
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-quic",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", // the page reaches nothing outside
];

export class Window {
  private constructor(
    private readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  /** Open a folder, and a file in it if one is named. `payload` are VS Code's own startup options. */
  static async open(
    server: CodeServer,
    folder: string,
    { file, size = { width: 1100, height: 620 } }: { file?: string; size?: { width: number; height: number } } = {},
  ): Promise<Window> {
    const window = await Window.launch(server, size);
    const payload: [string, string][] = [["skipWelcome", "true"]];
    if (file !== undefined) payload.push(["openFile", server.remoteUri(path.join(folder, file))]);
    await window.visit(server, folder, payload);
    await window.page.waitForSelector(".monaco-workbench");
    if (file !== undefined) await window.page.waitForSelector(".editor-instance .view-lines .view-line");
    return window;
  }

  /**
   * Run mocha tests in the extension host, beside the installed extensions, and return the exit code. `tests` is a
   * folder with the package.json of an extension without code, and index.js, which exports `run`.
   */
  static async runTests(server: CodeServer, folder: string, tests: string): Promise<number> {
    const window = await Window.launch(server, { width: 1100, height: 620 });
    try {
      const heard: string[] = [];
      const ended = new Promise<number>((resolve) => {
        void window.page.exposeFunction("codeAutomationExit", resolve);
      });
      await window.page.exposeFunction("codeAutomationLog", (_kind: string, words: unknown[]) => {
        const line = format(...words);
        if (line.includes(TEST_OUTPUT)) console.log(line.replace(TEST_OUTPUT, ""));
        heard.push(line);
      });
      await window.visit(server, folder, [
        ["skipWelcome", "true"],
        ["extensionDevelopmentPath", server.remoteUri(tests)],
        ["extensionTestsPath", server.remoteUri(path.join(tests, "index.js"))],
      ]);
      const code = await ended;
      if (!heard.some((line) => line.includes(TESTS_ENDED)))
        throw new Error("the extension host went away before its tests had ended");
      return code;
    } finally {
      await window.close();
    }
  }

  private static async launch(server: CodeServer, size: { width: number; height: number }): Promise<Window> {
    const context = await chromium.launchPersistentContext(path.join(server.folder, "browser"), {
      executablePath: browserProgram(),
      headless: true,
      viewport: size,
      args: ARGUMENTS,
    });
    return new Window(context, context.pages()[0] ?? (await context.newPage()));
  }

  private async visit(server: CodeServer, folder: string, payload: [string, string][]): Promise<void> {
    const query = new URLSearchParams({ folder, payload: JSON.stringify(payload) });
    await this.page.goto(`${server.address}/?${query.toString()}`, { waitUntil: "domcontentloaded", timeout: 60_000 });
  }

  async close(): Promise<void> {
    await this.context.close();
  }

  async type(text: string): Promise<void> {
    await this.page.keyboard.type(text);
  }

  /** Press one key, written like "Control+Z". */
  async press(key: string): Promise<void> {
    await this.page.keyboard.press(key);
  }

  /** Put the cursor at a line and column, both counted from 1. */
  async goTo(line: number, column: number): Promise<void> {
    await this.page.locator(".editor-instance .monaco-editor .view-lines").first().click();
    await this.press("Control+G");
    await this.page.locator(".quick-input-widget input:visible").first().waitFor();
    await this.type(`${line}:${column}`);
    await this.press("Enter");
    await this.sees(`Ln ${line}, Col ${column}`, "#status\\.editor\\.selection");
  }

  /** Run a command by the name that the palette shows. */
  async runCommand(name: string): Promise<void> {
    await this.press("F1");
    await this.page.locator(".quick-input-widget input:visible").first().waitFor();
    await this.type(name);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().waitFor();
    await this.press("Enter");
  }

  /** Wait until an element that `selector` names shows `text`; return it. */
  async sees(text: string, selector: string): Promise<Locator> {
    const found = this.page.locator(selector, { hasText: text }).first();
    await found.waitFor({ timeout: 60_000 });
    return found;
  }

  /** Wait for a notification with `text`, and click a button of it if one is named. */
  async notification(text: string, button?: string): Promise<void> {
    const toast = await this.sees(text, ".notifications-toasts .notification-toast, .monaco-dialog-box");
    if (button !== undefined) await toast.locator(".monaco-button", { hasText: button }).first().click();
  }

  /** The ghost text as a person sees it: the rest of the cursor's line, and the lines below; "" if there is none. */
  ghost(): Promise<string> {
    return this.page.evaluate(() => {
      const text = (element: Element) => element.textContent.replaceAll("\u00a0", " ");
      const first = [...document.querySelectorAll(".ghost-text-decoration, .ghost-text")].map(text).join("");
      const below = [...document.querySelectorAll(".suggest-preview-text .view-line")].map(text);
      return [first, ...below].join("\n");
    });
  }

  /** Wait for ghost text, and return it. */
  ghostShown(): Promise<string> {
    return until("ghost text", () => this.ghost());
  }

  /** Wait until no ghost text is shown. */
  async ghostGone(): Promise<void> {
    await until("no ghost text", async () => (await this.ghost()) === "");
  }

  /** Ask for ghost text by hand, until it shows: a provider is registered a moment after its client runs. */
  async askForGhost(): Promise<string> {
    return until("ghost text that was asked for", async () => {
      await this.press("Control+Alt+I");
      return until("", () => this.ghost(), { timeoutMs: 3000 }).catch(() => "");
    });
  }

  /** The lines of the editor that can be seen, without ghost text. */
  lines(): Promise<string[]> {
    return this.page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>(".editor-instance .view-lines > .view-line")]
        .sort((one, other) => parseFloat(one.style.top) - parseFloat(other.style.top))
        .map((line) => {
          const copy = line.cloneNode(true) as HTMLElement;
          copy.querySelectorAll(".ghost-text-decoration, .ghost-text").forEach((ghost) => {
            ghost.remove();
          });
          return copy.textContent.replaceAll("\u00a0", " ");
        }),
    );
  }

  /** Take a picture, into `PICTURES`; return its file. */
  async picture(name: string): Promise<string> {
    mkdirSync(PICTURES, { recursive: true });
    const file = path.join(PICTURES, `${name}.png`);
    await this.page.screenshot({ path: file });
    return file;
  }
}

function browserProgram(): string {
  for (const name of ["chromium-headless-shell", "chromium", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      continue;
    }
  }
  throw new Error("no chromium: run make test-editors, which installs it");
}
