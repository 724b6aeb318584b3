/** The tests of test/host, in the extension host of a real VS Code, with the real server and model. */
import type { Edition } from "../editors/code_server";
import { inEditor, runHostTests, type Session } from "../editors/session";
import { INSTALLED } from "../editors/setfill";

export function hostTests(edition: Edition): Session {
  return async ({ extension, folder }) => {
    await inEditor({ edition, extensions: [extension], onPath: [INSTALLED] }, (server) =>
      runHostTests(server, folder()),
    );
  };
}
