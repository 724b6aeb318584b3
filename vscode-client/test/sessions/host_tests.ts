/** The tests of test/host, in the extension host of a real VS Code, with the real server and model. */
import type { Edition } from "../editors/code_server";
import { ONLY } from "../editors/output";
import { inEditor, runHostTests, type Session } from "../editors/session";
import { INSTALLED } from "../editors/setfill";

/** `only`: a regular expression for the titles of the tests to run; without it all are run. */
export function hostTests(edition: Edition, only?: string): Session {
  return async ({ extension, folder }) => {
    // The machine may be a slow one, and the model unsure: the tests are of what is done with its words.
    const settings = { "setfill.timeLimitMs": 60_000, "setfill.confidenceFloor": 0 };
    const environment = only === undefined ? {} : { [ONLY]: only };
    const options = { edition, extensions: [extension], onPath: [INSTALLED], settings, environment, hostTests: true };
    await inEditor(options, (server) => runHostTests(server, folder()));
  };
}
