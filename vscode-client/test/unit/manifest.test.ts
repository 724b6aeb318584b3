import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

interface Manifest {
  engines: { vscode: string };
  devDependencies: Record<string, string>;
}

test("the types of VS Code are those of the oldest version that is supported", () => {
  const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
  assert.equal(manifest.engines.vscode, `^${manifest.devDependencies["@types/vscode"] ?? "?"}`);
});
