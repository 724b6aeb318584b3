/**
 * The life of the language client: started, restarted, given up. Knows which documents it speaks of; knows nothing of
 * where the server was found (server/discovery.ts) nor of what features show.
 */
import * as vscode from "vscode";
import { LanguageClient, type LanguageClientOptions, TransportKind } from "vscode-languageclient/node";

import type { Log } from "./log";
import { findServer, isExplanation } from "./server/discovery";

/** Files on a disk and files that have no name yet; what other extensions invent is none of ours. */
export const DOCUMENTS = [{ scheme: "file" }, { scheme: "untitled" }];

export class Client implements vscode.Disposable {
  private client: LanguageClient | undefined;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: Log,
  ) {}

  async start(): Promise<void> {
    const found = await findServer(this.context);
    if (isExplanation(found)) {
      this.log.error(found.problem);
      return;
    }
    this.log.info(`starting the server (${found.origin}): ${[found.command, ...found.args].join(" ")}`);
    const env = { ...process.env, ...found.env };
    const options: LanguageClientOptions = { documentSelector: DOCUMENTS, outputChannel: this.log };
    this.client = new LanguageClient(
      "setfill",
      "Setfill",
      { command: found.command, args: [...found.args], options: { env }, transport: TransportKind.stdio },
      options,
    );
    await this.client.start();
  }

  async stop(): Promise<void> {
    await this.client?.dispose();
    this.client = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  dispose(): void {
    void this.stop();
  }
}
