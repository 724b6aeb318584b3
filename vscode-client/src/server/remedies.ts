/**
 * What would mend a server or a model that cannot be had: buttons, and what they do. Knows the server's words for what is
 * wrong; knows no editor.
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

/** What helps where the model cannot be had, the best first. `problem`: what the server says of it. */
export function remediesFor(problem: string): readonly [Remedy, ...Remedy[]] {
  if (problem.includes("is not installed; run: setfill models fetch")) {
    return [FETCH, RESTART];
  }
  if (/no model is called|give a model's directory/.test(problem)) {
    return [MODEL, RESTART];
  }
  return [RESTART, SHOW_LOG];
}
