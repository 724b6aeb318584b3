/** Other extensions that show ghost text of their own: two at once get in each other's way, so the user is told once. */
import * as vscode from "vscode";

const TOLD = "setfill.toldOfOtherProviders";
/** Those that declare nothing we could tell them by. The others ask for a proposed interface of inline completions. */
const KNOWN = new Set([
  "amazonwebservices.amazon-q-vscode",
  "codeium.codeium",
  "codeium.windsurfpyright",
  "continue.continue",
  "google.geminicodeassist",
  "ggml-org.llama-vscode",
  "github.copilot",
  "github.copilot-chat",
  "rjmacarthy.twinny",
  "sourcegraph.cody-ai",
  "sourcegraph.amp",
  "supermaven.supermaven",
  "tabbyml.vscode-tabby",
  "tabnine.tabnine-vscode",
  "visualstudioexptteam.vscodeintellicode-completions",
]);

interface Manifest {
  readonly displayName?: string;
  readonly enabledApiProposals?: readonly string[];
}

/** Return the active extensions that are likely to show ghost text. */
export function otherProviders(ownId: string): vscode.Extension<unknown>[] {
  return vscode.extensions.all.filter(({ id, isActive, packageJSON }) => {
    const { enabledApiProposals = [] } = packageJSON as Manifest;
    const isLikely = KNOWN.has(id.toLowerCase()) || enabledApiProposals.includes("inlineCompletionsAdditions");
    return isActive && id !== ownId && isLikely;
  });
}

/** Tell the user of another provider, once for each one in all of the extension's life. */
export async function warnOfOthers(context: vscode.ExtensionContext): Promise<void> {
  const told = new Set(context.globalState.get<string[]>(TOLD, []));
  const others = otherProviders(context.extension.id).filter(({ id }) => !told.has(id));
  if (others.length === 0) {
    return;
  }
  await context.globalState.update(TOLD, [...told, ...others.map(({ id }) => id)]);
  const names = others.map(({ id, packageJSON }) => (packageJSON as Manifest).displayName ?? id).join(", ");
  const show = "Show Extensions";
  const chosen = await vscode.window.showWarningMessage(
    `${names} may show ghost text too. VS Code shows one suggestion at a time, so Setfill's may not be seen: ` +
      "switch one of them off.",
    show,
  );
  if (chosen === show) {
    await vscode.commands.executeCommand("workbench.extensions.search", `@enabled ${others[0]?.id ?? ""}`);
  }
}
