/** Where the extension host begins to run the tests of this folder: each `*.test.ts`, bundled beside this file. */
import { readdirSync } from "node:fs";
import path from "node:path";
import { format } from "node:util";

import Mocha from "mocha";

import { ONLY, TEST_OUTPUT, TESTS_ENDED } from "../editors/output";

export function run(): Promise<void> {
  Mocha.reporters.Base.consoleLog = (...words: unknown[]) => {
    for (const line of format(...words).split("\n")) console.log(TEST_OUTPUT + line);
  };
  const mocha = new Mocha({
    ui: "bdd",
    timeout: 90_000,
    forbidOnly: "CI" in process.env,
    grep: process.env[ONLY] ?? "",
  });
  for (const name of readdirSync(__dirname).sort()) {
    if (name.endsWith(".test.js")) mocha.addFile(path.join(__dirname, name));
  }
  return new Promise((resolve, reject) => {
    mocha.run((failures) => {
      console.log(TEST_OUTPUT + TESTS_ENDED);
      if (failures > 0) reject(new Error(`${failures} failed`));
      else resolve();
    });
  });
}
