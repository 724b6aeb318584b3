/** Ghost text as a person meets it: it shows, goes away, is asked for, and is accepted. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";

import { inEditor, inWindow, type Session } from "../editors/session";
import { INSTALLED } from "../editors/setfill";
import { until } from "../editors/waiting";

const TEXT = "def add(first, second):\n    return\n";

export const ghostText: Session = async ({ extension, folder }) => {
  const opened = folder({ "demo.py": TEXT });
  const options = { edition: "newest", extensions: [extension], onPath: [INSTALLED] } as const;
  await inEditor(options, (server) =>
    inWindow(server, opened, { file: "demo.py" }, async (window) => {
      await window.goTo(2, 11);
      await window.type(" ");
      const ghost = await window.askForGhost();
      await window.picture("ghost-text");
      await window.press("Escape");
      await window.ghostGone();
      assert.equal(await window.askForGhost(), ghost);
      await window.press("Tab");
      await window.press("Control+S");
      const file = path.join(opened, "demo.py");
      const saved = await until("the file is saved", () => {
        const text = readFileSync(file, "utf8");
        return text !== TEXT && text;
      });
      assert.equal(saved, TEXT.replace("return", `return ${ghost}`));
    }),
  );
};
