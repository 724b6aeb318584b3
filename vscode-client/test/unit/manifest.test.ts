/** What package.json promises: versions, scopes, commands that exist, pictures that are there. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

interface Manifest {
  engines: { vscode: string };
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  icon: string;
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
  contributes: {
    commands: { command: string; title: string }[];
    menus: Record<string, { command: string }[]>;
    keybindings: { command: string; key: string; when: string }[];
    configuration: { properties: Record<string, { scope: string }> };
    walkthroughs: { steps: { description: string; media: { image: string } }[] }[];
  };
}

const MANIFEST = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const { contributes } = MANIFEST;
const SOURCE = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(`src/${name}`, "utf8"))
  .join("\n");
const COMMANDS = new Set(contributes.commands.map(({ command }) => command));

test("the types of VS Code are those of the oldest version that is supported", () => {
  assert.equal(MANIFEST.engines.vscode, `^${MANIFEST.devDependencies["@types/vscode"] ?? "?"}`);
});

test("no proposed interface is used: what uses one cannot be published", () => {
  assert.ok(!("enabledApiProposals" in MANIFEST));
});

test("settings that name commands, paths or models are the machine's, and restricted", () => {
  for (const [name, { scope }] of Object.entries(contributes.configuration.properties)) {
    if (/server\.|model$|command|path(?!s)|python/i.test(name)) {
      assert.match(scope, /^machine/, name);
    }
    if (scope.startsWith("machine")) {
      assert.ok(MANIFEST.capabilities.untrustedWorkspaces.restrictedConfigurations.includes(name), name);
    }
  }
});

test("menus, keys and the walkthrough name commands that exist", () => {
  const named = [
    ...Object.values(contributes.menus).flat(),
    ...contributes.keybindings,
    ...contributes.walkthroughs.flatMap(({ steps }) =>
      steps.flatMap(({ description }) =>
        [...description.matchAll(/\(command:([\w.]+)\)/g)].map(([, command = ""]) => ({ command })),
      ),
    ),
  ].map(({ command }) => command);
  for (const command of named) {
    assert.ok(COMMANDS.has(command) || command.startsWith("editor.action."), command);
  }
});

test("Tab is left alone", () => {
  assert.ok(contributes.keybindings.every(({ key, when }) => when !== "" && !/\btab\b/.test(key)));
});

test("every command has a title of its own and is registered", () => {
  const titles = contributes.commands.map(({ title }) => title);
  assert.equal(new Set(titles).size, titles.length);
  for (const command of COMMANDS) {
    assert.match(SOURCE, new RegExp(`\\b${command.replace("setfill.", "")}\\b`), command);
  }
});

test("the extension has no network of its own, and no telemetry", () => {
  const { dependencies } = MANIFEST;
  assert.deepEqual(Object.keys(dependencies), ["vscode-languageclient"]);
  assert.doesNotMatch(
    SOURCE,
    /(from|require\() ?"(node:)?(https?|http2|net|tls|dgram|dns)"|\bfetch\(|WebSocket|TelemetryLogger/,
  );
});

test("icon and pictures are there", () => {
  const pictures = contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.image));
  for (const path of [MANIFEST.icon, ...pictures]) {
    assert.ok(existsSync(path), path);
  }
});
