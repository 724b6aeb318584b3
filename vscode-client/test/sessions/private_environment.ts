/**
 * No Setfill that may be started: the private environment is offered, made on a click from the folder that `make bundle` has filled,
 * without a network, and answers; in a folder that is not trusted, where neither its own settings, nor the machine's, nor
 * PATH can name another server. The worker is a child on pipes, as where there are no Unix sockets.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync } from "node:fs";
import path from "node:path";

import { inEditor, inWindow, type Session } from "../editors/session";
import { until } from "../editors/waiting";

const BUNDLE = path.resolve("../dist/bundle");
const NOWHERE = "http://127.0.0.1:9"; // no network: whoever wants one is refused at once
const MAKING_MS = 330_000; // on a machine that is slow and busy

export const privateEnvironment: Session = async ({ extension, folder }) => {
  assert.ok(existsSync(BUNDLE), "make bundle has not been run");
  const evil = folder();
  const proof = path.join(evil, "proof");
  const other = path.join(folder({ setfill: `#!/bin/sh\ntouch ${proof}\n` }), "setfill");
  chmodSync(other, 0o755);
  const opened = folder({
    "demo.py": "def add(first, second):\n    return\n",
    ".vscode/settings.json": JSON.stringify({
      "setfill.server.command": ["/usr/bin/touch", proof],
      "setfill.environment.wheels": evil,
      "setfill.environment.python": "/bin/false",
    }),
  });
  const options = {
    edition: "newest",
    extensions: [extension],
    workspaceTrust: true,
    settings: { "security.workspace.trust.startupPrompt": "never" },
    onPath: [path.dirname(other)],
    machineSettings: {
      "setfill.server.command": [other],
      "setfill.environment.wheels": BUNDLE,
      "setfill.sharedWorker": false,
    },
    environment: { https_proxy: NOWHERE, http_proxy: NOWHERE, PIP_INDEX_URL: NOWHERE, PIP_EXTRA_INDEX_URL: undefined },
  } as const;
  await inEditor(options, (server) =>
    inWindow(server, opened, { file: "demo.py" }, async (window) => {
      await window.notification("In a folder that is not trusted", "Set Up...");
      await window.notification("Set up a private environment for Setfill?", "Set Up");
      const storage = path.join(server.folder, "data", "User", "globalStorage", "setfill.setfill");
      const record = path.join(storage, "environment.json");
      await until("the environment is being made", () => existsSync(record));
      await window.sees("setting up the private environment", ".notification-toast");
      await window.picture("setting-up");
      const runs = (): boolean => {
        const [failure] = /\[error\] .* failed: .*/.exec(server.logs()) ?? [];
        if (failure !== undefined) throw new Error(failure);
        return server.processes(storage, "setfill", "serve").length > 0;
      };
      await until("its server runs", runs, { timeoutMs: MAKING_MS });
      await window.goTo(2, 11);
      await window.type(" ");
      assert.notEqual(await window.askForGhost(), "");
      assert.equal(server.processes(storage, "worker").length, 1, "one worker, of the private environment");
      const sockets = readdirSync(path.join(server.folder, "runtime"), { recursive: true, encoding: "utf8" });
      assert.deepEqual(
        sockets.filter((name) => /worker-.*\.sock$/.test(name)),
        [],
        "nobody can meet it on a socket",
      );
      assert.match(server.logs(), /starting the server \(private environment\)/);
      assert.doesNotMatch(server.logs(), /cannot be used|is being set up just now/, "making it is no failure");
      assert.ok(!server.logs().includes("def add("), "no log holds source code");
      assert.ok(!existsSync(proof), "no other command was run");
    }),
  );
};
