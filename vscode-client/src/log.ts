/** The one log channel. Callers never pass it source code: paths, counts, states and reasons only. */
import * as vscode from "vscode";

export type Log = vscode.LogOutputChannel;

export function createLog(): Log {
  return vscode.window.createOutputChannel("Setfill", { log: true });
}

/** The same channel for traces of the protocol: of every message it keeps the first line, which names it. */
export function withoutContents(log: Log): Log {
  const trace = (message: string): void => {
    const [name = ""] = message.split("\n", 1);
    if (!name.startsWith("{")) {
      log.trace(name); // a trace in JSON is the whole message
    }
  };
  return new Proxy(log, {
    get(target, key) {
      const value: unknown = key === "trace" ? trace : Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
