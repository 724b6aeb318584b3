/**
 * Which program is Setfill's language server on this machine. Knows where Python environments live; knows nothing of
 * the language client.
 */
import * as vscode from "vscode";

/** How to start the server: it speaks LSP on its standard input and output. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Environment variables put over those of the extension host; undefined takes one away. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the command was found, for the log and the status: "configured", "PATH", ... */
  readonly origin: string;
}

/** Why no server can be started, in words for the user, and what would mend it. */
export interface Explanation {
  readonly problem: string;
  readonly remedies: readonly { readonly title: string; readonly command: string }[];
}

/** Find the server. Looks only; it installs nothing. */
export function findServer(_context: vscode.ExtensionContext): Promise<ServerCommand | Explanation> {
  const configured = vscode.workspace.getConfiguration("setfill").get<string[]>("server.command", []);
  const [command = "setfill", ...args] = configured;
  return Promise.resolve({
    command,
    args: configured.length > 0 ? args : ["serve"],
    env: {},
    origin: configured.length > 0 ? "configured" : "PATH",
  });
}

export function isExplanation(found: ServerCommand | Explanation): found is Explanation {
  return "problem" in found;
}
