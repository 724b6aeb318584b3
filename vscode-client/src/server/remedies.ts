/**
 * What would mend a server or a model that cannot be had: buttons, and what they do. Knows the server's codes for what is
 * wrong, and none of its words; knows no editor.
 */

/** A button: what it says, and the command behind it. */
export interface Remedy {
  readonly title: string;
  readonly command: string;
  readonly arguments?: readonly unknown[];
}

export const RESTART: Remedy = { title: "Restart", command: "setfill.restartServer" };
export const SHOW_LOG: Remedy = { title: "Show Log", command: "setfill.showLog" };
const FETCH: Remedy = { title: "Fetch the Model", command: "setfill.fetchModel" };
const MODEL: Remedy = { title: "Open Setting", command: "workbench.action.openSettings", arguments: ["setfill.model"] };

/** What helps where the model cannot be had, the best first. `code`: the server's for what is wrong, if it has said one. */
export function remediesFor(code: string | null | undefined): readonly [Remedy, ...Remedy[]] {
  switch (code) {
    case "model_not_fetched":
      return [FETCH, RESTART];
    case "model_not_found":
      return [MODEL, RESTART];
    default:
      return [RESTART, SHOW_LOG];
  }
}
