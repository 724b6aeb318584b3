/**
 * What the user has set, as the server wants it. Which settings there are stands in package.json, whose part for the
 * server is made from the server's own list; the names with a dot in them are ours alone.
 *
 * Only what was set is sent: the defaults are the server's, which may be newer or older than this extension.
 */
import * as vscode from "vscode";

export const SECTION = "setfill";

interface Property {
  readonly scope?: string;
}

export class ServerSettings {
  private readonly machine: string[] = [];
  private readonly others: string[] = [];

  constructor(manifest: unknown) {
    const { contributes } = manifest as { contributes: { configuration: { properties: Record<string, Property> } } };
    for (const [key, property] of Object.entries(contributes.configuration.properties)) {
      const name = key.slice(SECTION.length + 1);
      if (!name.includes(".")) {
        (property.scope?.startsWith("machine") ? this.machine : this.others).push(name);
      }
    }
  }

  /** What only the user's machine may choose; the server takes it at its start. */
  ofMachine(): Record<string, unknown> {
    return chosen(this.machine);
  }

  /** All the rest; the server asks for it again whenever it changes. */
  ofWorkspace(): Record<string, unknown> {
    return chosen(this.others);
  }

  /** Whether a change takes a new server to have effect. */
  needsRestart(change: vscode.ConfigurationChangeEvent): boolean {
    return this.machine.some((name) => change.affectsConfiguration(`${SECTION}.${name}`));
  }
}

/** One of the extension's own settings. */
export function ownSetting<T>(name: string, scope?: vscode.ConfigurationScope): T {
  return vscode.workspace.getConfiguration(SECTION, scope).get(name) as T;
}

function chosen(names: readonly string[]): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const found: Record<string, unknown> = {};
  for (const name of names) {
    const set = configuration.inspect(name);
    if (
      set?.globalValue !== undefined ||
      set?.workspaceValue !== undefined ||
      set?.workspaceFolderValue !== undefined
    ) {
      found[name] = configuration.get(name);
    }
  }
  return found;
}
