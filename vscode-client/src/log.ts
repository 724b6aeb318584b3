/** The one log channel. Callers never pass it source code: paths, counts, states and reasons only. */
import * as vscode from "vscode";

export type Log = vscode.LogOutputChannel;

export function createLog(): Log {
  return vscode.window.createOutputChannel("Setfill", { log: true });
}
