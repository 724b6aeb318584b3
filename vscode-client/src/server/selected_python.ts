/**
 * The Python that the user has selected for the folder that is open: in the Python extension where there is one, else in
 * its setting. Only for folders that are trusted: a folder can choose it.
 */
import path from "node:path";

import * as vscode from "vscode";

/** What we use of the Python extension's public interface. */
interface PythonExtension {
  readonly environments?: {
    getActiveEnvironmentPath: (resource?: vscode.Uri) => { readonly path: string };
    resolveEnvironment: (
      environment: unknown,
    ) => Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
    readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

const ID = "ms-python.python";
const PATIENCE_MS = 10_000; // with an extension that is slow to start

export async function selectedPython(): Promise<string | undefined> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const environments = (await pythonExtension())?.environments;
  if (environments) {
    const environment = await environments.resolveEnvironment(environments.getActiveEnvironmentPath(folder));
    return environment?.executable.uri?.fsPath;
  }
  const configured = vscode.workspace.getConfiguration("python", folder).get<string>("defaultInterpreterPath", "");
  const python = configured.replaceAll("${workspaceFolder}", folder?.fsPath ?? "");
  return path.isAbsolute(python) ? python : undefined;
}

/**
 * Call back when another Python is selected. Returns undefined as long as the Python extension does not run: it is
 * started for a search, and not for this.
 */
export function onDidSelectPython(changed: () => void): vscode.Disposable | undefined {
  const extension = vscode.extensions.getExtension<PythonExtension>(ID);
  return extension?.isActive ? extension.exports.environments?.onDidChangeActiveEnvironmentPath(changed) : undefined;
}

async function pythonExtension(): Promise<PythonExtension | undefined> {
  const extension = vscode.extensions.getExtension<PythonExtension>(ID);
  if (!extension) return undefined;
  const slow = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS, undefined));
  try {
    return await Promise.race([extension.activate(), slow]);
  } catch {
    return undefined; // it does not start: that is no reason for Setfill not to
  }
}
