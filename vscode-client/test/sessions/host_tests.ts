/** The tests of test/host, in the extension host of a real VS Code, with the real server and model. */
import type { Edition } from "../editors/code_server";
import { inEditor, runHostTests, type Session } from "../editors/session";
import { INSTALLED } from "../editors/setfill";

export function hostTests(edition: Edition): Session {
  return async ({ extension, folder }) => {
    const settings = { "setfill.timeLimitMs": 60_000 }; // the machine of the tests may be a slow one
    const options = { edition, extensions: [extension], onPath: [INSTALLED], settings, hostTests: true } as const;
    await inEditor(options, (server) => runHostTests(server, folder()));
  };
}
