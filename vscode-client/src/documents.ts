/** Which documents Setfill serves. Knows schemes; knows nothing of languages, for it serves every one. */
import type * as vscode from "vscode";

/** Files on a disk, files without a name yet, and cells of notebooks; what other extensions invent is none of ours. */
const SCHEMES = ["file", "untitled", "vscode-notebook-cell"] as const;

export const DOCUMENTS = SCHEMES.map((scheme) => ({ scheme }));

export function isServed(document: vscode.TextDocument): boolean {
  return SCHEMES.some((scheme) => scheme === document.uri.scheme);
}
