/**
 * A Setfill without weights: the user sees what is wrong, wherever they look, and a button that fetches the model. Where
 * that fails they see why, and what was run; where it succeeds, ghost text.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { inEditor, inWindow, type Session } from "../editors/session";
import { INSTALLED } from "../editors/setfill";
import { until } from "../editors/waiting";

const MISSING = "the model setfill-135m is not installed; run: setfill models fetch";
const TOAST = ".notification-toast";

export const noModel: Session = async ({ extension, folder }) => {
  const environment = folder();
  const opened = folder({ "demo.py": "def add(first, second):\n    return\n" });
  const onPath = [withoutWeights(environment)];
  const index = path.join(environment, "no-index");
  const options = {
    edition: "newest",
    extensions: [extension],
    onPath,
    settings: { "setfill.timeLimitMs": 60_000 }, // the machine of the tests may be a slow one
    environment: { PIP_CONFIG_FILE: index, SETFILL_HOME: undefined, XDG_CACHE_HOME: undefined },
  } as const;
  writeFileSync(index, "[global]\nno-index = true\n");
  await inEditor(options, (server) =>
    inWindow(server, opened, { file: "demo.py" }, async (window) => {
      await window.sees(MISSING, TOAST);
      await window.sees("Setfill", ".statusbar-item.warning-kind");
      await window.goTo(2, 11);
      await window.runCommand("Notifications: Clear All Notifications");
      await window.runCommand("Setfill: Why No Suggestion?");
      await window.notification(`There is no model: ${MISSING}`);
      await window.picture("no-model");
      await window.notification(`There is no model: ${MISSING}`, "Fetch the Model");
      await window.sees("downloading failed: setfill: error: pip could not download", TOAST);
      await window.sees("setfill models fetch", TOAST);
      writeFileSync(index, "");
      await window.notification("downloading failed", "Try Again");
      await until("the model is there", () => models(server.folder).includes("setfill-135m"), { timeoutMs: 300_000 });
      await window.goTo(2, 11);
      await window.type(" ");
      assert.notEqual(await window.askForGhost(), "");
    }),
  );
};

/** Make a program `setfill` of the code that is installed, which finds no distribution of weights; return its folder. */
function withoutWeights(folder: string): string {
  const python = path.join(folder, "bin", "python");
  execFileSync(path.join(INSTALLED, "python"), ["-m", "venv", "--without-pip", folder]);
  const packages = (of: string): string =>
    execFileSync(of, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], { encoding: "utf8" }).trim();
  const installed = packages(path.join(INSTALLED, "python"));
  const lines = [
    `import site; site.addsitedir(${JSON.stringify(installed)})`,
    "import sys; sys.modules['setfill_weights'] = None",
  ];
  writeFileSync(path.join(packages(python), "installed.pth"), `${lines.join("\n")}\n`);
  const program = path.join(folder, "bin", "setfill");
  writeFileSync(program, `#!${python}\nimport sys\nfrom setfill.entry import main\nsys.exit(main())\n`);
  chmodSync(program, 0o755);
  return path.dirname(program);
}

/** The models that were fetched in a run of the editor. */
function models(run: string): string[] {
  try {
    return readdirSync(path.join(run, "home", ".cache", "setfill", "models"));
  } catch {
    return [];
  }
}
