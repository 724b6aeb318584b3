/** What the user switches from the status bar: on or off, the language, by itself or on demand, a snooze. */
import * as vscode from "vscode";

import { SECTION } from "../settings";

const GLOBAL = vscode.ConfigurationTarget.Global;

export function isOn(): boolean {
  return setting<boolean>("enabled");
}

export function isAutomatic(): boolean {
  return setting<boolean>("automatic");
}

export function isOnFor(languageId: string): boolean {
  return !disabledLanguages().some((each) => each.toLowerCase() === languageId.toLowerCase());
}

export async function toggle(): Promise<void> {
  await set("enabled", !isOn());
}

export async function toggleAutomatic(): Promise<void> {
  await set("automatic", !isAutomatic());
}

/** Switch the language of the active editor off, or on again. */
export async function toggleLanguage(): Promise<void> {
  const languageId = vscode.window.activeTextEditor?.document.languageId;
  if (languageId === undefined) {
    void vscode.window.showInformationMessage("Setfill: open a file of the language first.");
    return;
  }
  const others = disabledLanguages().filter((each) => each.toLowerCase() !== languageId.toLowerCase());
  await set("disabledLanguages", isOnFor(languageId) ? [...others, languageId] : others);
}

function disabledLanguages(): string[] {
  return setting<string[]>("disabledLanguages");
}

function setting<T>(name: string): T {
  return vscode.workspace.getConfiguration(SECTION).get(name) as T;
}

/** Put a value where it takes effect: a workspace that has one of its own would hide the user's. */
async function set(name: string, value: unknown): Promise<void> {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const isOfWorkspace = configuration.inspect(name)?.workspaceValue !== undefined;
  await configuration.update(name, value, isOfWorkspace ? vscode.ConfigurationTarget.Workspace : GLOBAL);
}
