/**
 * Work that takes a while and may fail, as the user meets it: a notification with its progress, which can cancel it, and
 * what went wrong. Knows nothing of what is done.
 */
import * as vscode from "vscode";

import type { Log } from "../log";
import { Cancelled, type Watch } from "./make_environment";
import { run } from "./programs";
import { SHOW_LOG } from "./remedies";

const AGAIN = "Try Again";

/** Do `work`; return undefined if it came to nothing, which the user has then been told. `again` does it once more. */
export async function watched<T>(
  title: string,
  log: Log,
  work: (watch: Watch) => Promise<T>,
  again: () => void,
): Promise<T | undefined> {
  const location = vscode.ProgressLocation.Notification;
  return vscode.window.withProgress(
    { location, title: `Setfill: ${title}`, cancellable: true },
    async (progress: vscode.Progress<{ message: string; increment: number }>, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => {
        abort.abort();
      });
      try {
        return await work({
          run,
          environment: withProxy(process.env),
          signal: abort.signal,
          report: (message, increment) => {
            progress.report({ message, increment });
          },
          log: (line) => {
            log.info(line);
          },
        });
      } catch (error) {
        if (error instanceof Cancelled) void vscode.window.showInformationMessage(`Setfill: ${title} was cancelled.`);
        else void explain(error instanceof Error ? error.message : String(error), log, again);
        return undefined;
      }
    },
  );
}

/** Tell the user why something came to nothing. */
export async function explain(problem: string, log: Log, again: () => void): Promise<void> {
  log.error(problem);
  const answer = await vscode.window.showErrorMessage(`Setfill: ${problem}`, AGAIN, SHOW_LOG.title);
  if (answer === SHOW_LOG.title) log.show();
  if (answer === AGAIN) again();
}

/** Tell pip of the proxy that VS Code uses, unless it has been told of one. */
function withProxy(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const proxy = vscode.workspace.getConfiguration("http").inspect<string>("proxy")?.globalValue;
  const isTold = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"].some((name) => environment[name]);
  return proxy && !isTold ? { ...environment, HTTPS_PROXY: proxy, HTTP_PROXY: proxy } : environment;
}
