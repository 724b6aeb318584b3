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
  readonly tags?: readonly string[];
}

const NARROWED = "narrowed"; // tag of settings that a workspace can only narrow

export class ServerSettings {
  private readonly machine: string[] = [];
  private readonly others: string[] = [];
  private readonly narrowed: string[] = [];
  private told = ""; // of the user's own values, what the server has

  constructor(manifest: unknown) {
    const { contributes } = manifest as { contributes: { configuration: { properties: Record<string, Property> } } };
    for (const [key, property] of Object.entries(contributes.configuration.properties)) {
      const name = key.slice(SECTION.length + 1);
      if (!name.includes(".")) {
        (property.scope?.startsWith("machine") ? this.machine : this.others).push(name);
        if (property.tags?.includes(NARROWED)) {
          this.narrowed.push(name);
        }
      }
    }
  }

  /**
   * What only the user's machine may choose; the server takes it at its start. So it does with the user's own values of
   * what a workspace can only narrow: VS Code answers with a workspace's in their place.
   */
  ofMachine(): Record<string, unknown> {
    const ofUser = chosenByUser(this.narrowed);
    this.told = JSON.stringify(ofUser);
    return { ...chosen(this.machine), ...ofUser };
  }

  /** All the rest; the server asks for it again whenever it changes. */
  ofWorkspace(): Record<string, unknown> {
    return chosen(this.others);
  }

  /** Whether a change takes a new server to have effect. */
  needsRestart(change: vscode.ConfigurationChangeEvent): boolean {
    return (
      this.machine.some((name) => change.affectsConfiguration(`${SECTION}.${name}`)) ||
      JSON.stringify(chosenByUser(this.narrowed)) !== this.told
    );
  }
}

/** One of the extension's own settings. */
export function ownSetting<T>(name: string, scope?: vscode.ConfigurationScope): T {
  return vscode.workspace.getConfiguration(SECTION, scope).get(name) as T;
}

function chosenByUser(names: readonly string[]): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const values = names.map((name) => [name, configuration.inspect(name)?.globalValue] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
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
