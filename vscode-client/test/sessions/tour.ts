/**
 * Setfill as a person meets it, by keys and by looking: ghost text, candidates, a preview of several infills, a reason for
 * silence, the menu. Its pictures are those of the README and of the walkthrough.
 */
import assert from "node:assert/strict";

import { inEditor, inWindow, type Session } from "../editors/session";
import { INSTALLED } from "../editors/setfill";
import { until } from "../editors/waiting";
import type { Window } from "../editors/window";

const SHAPES = `"""Areas and volumes."""

import math


def circle_area(radius):
    return

`;
const SUMMARY = `"""What a list of numbers is like."""


def summary(values):
    smallest = min(values)
    largest = max(???)
    total = sum(???)
    count = len(???)
    return smallest, largest, total, count
`;
const TOAST = ".notification-toast";
const SMALL = { width: 860, height: 480 };

export const tour: Session = async ({ extension, folder }) => {
  const opened = folder({ "shapes.py": SHAPES, "summary.py": SUMMARY });
  const settings = {
    "editor.minimap.enabled": false,
    "setfill.timeLimitMs": 60_000, // the machine of the tests may be a slow one
    "workbench.activityBar.location": "hidden",
  };
  const options = { edition: "newest", extensions: [extension], onPath: [INSTALLED], settings } as const;
  await inEditor(options, async (server) => {
    await inWindow(server, opened, { file: "shapes.py", size: SMALL }, async (window) => {
      await window.press("Control+B"); // more room for the editor
      await ghostText(window);
      await refusal(window);
      await reason(window);
      await menu(window);
    });
    await inWindow(server, opened, { file: "summary.py", size: SMALL }, async (window) => {
      await infills(window);
    });
  });
};

async function ghostText(window: Window): Promise<void> {
  const loading = window.page.locator(".statusbar-item", { hasText: "Setfill" }).locator(".codicon-loading");
  await loading.waitFor();
  await loading.waitFor({ state: "detached", timeout: 180_000 });
  await window.goTo(8, 1);
  await window.press("Tab");
  assert.equal((await window.lines())[7], "    ", "Tab indents while nothing shows");
  await window.press("Control+Z");
  await window.goTo(7, 11);
  await window.askForGhost(); // the server runs, and has read the file
  await window.press("Escape");
  await window.ghostGone();
  await window.type(" ");
  const ghost = await window.ghostShown();
  await window.picture("ghost-text");
  await window.type(ghost.slice(0, 1));
  await until("its rest stays", async () => (await window.ghost()) === ghost.slice(1));
  await window.press("Control+ArrowRight");
  await until("a word is taken", async () => ((await window.lines())[6] ?? "").length > "    return x".length);
  await window.press("Tab");
  await until("the rest is taken", async () => (await window.lines())[6] === `    return ${ghost}`);
  while ((await window.lines())[6] !== "    return") {
    await window.press("Control+Z");
  }
  await window.type(" ");
  const first = await window.askForGhost();
  await until("another candidate", async () => {
    await window.press("Alt+]");
    return ![first, ""].includes(await window.ghost());
  });
  await window.press("Escape");
}

/** What was sent away twice comes no more, but by hand. What the model says may change with the speed of the machine. */
async function refusal(window: Window): Promise<void> {
  await until("it is held back", async () => {
    await window.press("Control+Z");
    await until("the blank is gone", async () => (await window.lines())[6] === "    return");
    await window.type(" ");
    if (await until("", () => window.ghost(), { timeoutMs: 5000 }).catch(() => "")) {
      await window.press("Escape");
      await window.ghostGone();
      return false;
    }
    return (await whySilent(window)).includes("refused twice");
  });
  await window.askForGhost();
  await window.press("Escape");
  await window.ghostGone();
}

/** Ask why there is no suggestion; return what the notification says, which is put away. */
async function whySilent(window: Window): Promise<string> {
  await window.runCommand("Setfill: Why No Suggestion?");
  const toast = await window.sees("Setfill: ", TOAST);
  const words = await toast.innerText();
  await window.runCommand("Notifications: Clear All Notifications");
  await toast.waitFor({ state: "detached" });
  return words;
}

async function reason(window: Window): Promise<void> {
  await window.goTo(6, 9);
  await window.type("e");
  await window.runCommand("Setfill: Why No Suggestion?");
  await window.sees("inside a word", TOAST);
  await window.picture("why");
  await window.runCommand("Notifications: Clear All Notifications");
  await window.press("Control+Z");
}

async function menu(window: Window): Promise<void> {
  await window.page.locator(".statusbar-item", { hasText: "Setfill" }).click();
  await window.sees("Snooze for 5 Minutes", ".quick-input-list .monaco-list-row");
  await window.picture("menu");
  await window.type("snooze");
  await window.press("Enter");
  await window.page.locator(".statusbar-item .codicon-bell-slash").first().waitFor();
}

async function infills(window: Window): Promise<void> {
  await window.goTo(1, 1);
  await window.runCommand("Setfill: Infill Marked Holes");
  await window.sees("Setfill: 3 infills in summary.py", ".tab");
  await until("both sides are drawn", async () => (await window.lines()).some((line) => line.includes("largest")));
  await window.picture("joint-infill");
  await window.press("Control+Enter");
  await until("the holes are filled", async () => {
    const lines = await window.lines();
    return lines.some((line) => line.includes("largest = ")) && !lines.some((line) => line.includes("???"));
  });
  await until("the preview is closed", async () => {
    return (await window.page.locator(".tab", { hasText: "3 infills" }).count()) === 0;
  });
  await window.goTo(6, 1);
  await window.runCommand("Setfill: Show How the Last Infill Was Decoded");
  await window.sees("How summary.py was filled", ".tab");
  const page = window.page.frameLocator("iframe.webview").frameLocator("iframe#active-frame");
  await page.locator("#story").waitFor();
  assert.match(await page.locator("#places").innerText(), /^\d+:\d+, \d+:\d+, \d+:\d+$/);
  await window.picture("trace");
}
