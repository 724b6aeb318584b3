/**
 * The life of the language client: started once there is something to serve, started again when the server dies, given
 * up when it keeps dying, and started anew by the user from any state. Knows nothing of where the server was found
 * (server/discovery.ts) nor of what features do with it.
 */
import * as vscode from "vscode";
import {
  type CancellationToken,
  CloseAction,
  ErrorAction,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  MessageType,
  RevealOutputChannelOn,
  type ShowMessageParams,
  ShowMessageNotification,
  State as ConnectionState,
  TransportKind,
} from "vscode-languageclient/node";

import { DOCUMENTS, isServed } from "./documents";
import { type Log, withoutContents } from "./log";
import type { ServerStatus } from "./protocol";
import { Restarts } from "./restarts";
import { type Explanation, findServer, isExplanation, type ServerCommand } from "./server/discovery";
import { remediesFor, RESTART, SHOW_LOG } from "./server/remedies";
import { SECTION, type ServerSettings } from "./settings";

export type ClientState =
  | { readonly kind: "stopped" | "starting" | "running" }
  | { readonly kind: "failed"; readonly explanation: Explanation };

/** A request that no server is there for. */
export class NotRunning extends Error {}

const STOP_MS = 3000; // that a server is given to end by itself
const REMEDIES = [RESTART, SHOW_LOG];

export class Client implements vscode.Disposable {
  /** Told of every change of `state`. */
  readonly onDidChangeState: vscode.Event<ClientState>;

  private readonly changed = new vscode.EventEmitter<ClientState>();
  private readonly restarts = new Restarts();
  private current: ClientState = { kind: "stopped" };
  private client: LanguageClient | undefined;
  private changing: Promise<void> = Promise.resolve(); // starts and stops, one after the other
  private isWanted = false;
  private found: ServerCommand | Explanation | undefined; // what the last start found

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: Log,
    private readonly settings: ServerSettings,
    private readonly middleware: Middleware,
  ) {
    this.onDidChangeState = this.changed.event;
  }

  get state(): ClientState {
    return this.current;
  }

  /** Start the server as soon as an editor shows a document that it serves. */
  startWhenNeeded(): void {
    const look = (): void => {
      if (!this.isWanted && vscode.window.visibleTextEditors.some(({ document }) => isServed(document))) {
        void this.start();
      }
    };
    this.context.subscriptions.push(vscode.window.onDidChangeVisibleTextEditors(look));
    look();
  }

  /** Have a server running. A failure is a state, told once to the user, and no error. */
  start(): Promise<void> {
    this.isWanted = true;
    return this.next(async () => {
      if (this.current.kind === "stopped" || this.current.kind === "failed") {
        await this.launch();
      }
    });
  }

  /** Have a new server running, whatever became of the old one. */
  restart(): Promise<void> {
    this.isWanted = true;
    this.restarts.forget();
    return this.next(() => this.launch());
  }

  /** Have the server that would be found now, if that is another than the one that was. Says no failure twice. */
  reconsider(): Promise<void> {
    return this.next(async () => {
      if (!this.isWanted) {
        return;
      }
      const now = await findServer(this.context);
      const isKnown = sameServer(now, this.found);
      if (isExplanation(now) ? isKnown || now.isPassing : isKnown && this.current.kind !== "failed") {
        return;
      }
      this.restarts.forget();
      await this.launch();
    });
  }

  /** What is started; undefined where none was found. */
  get server(): ServerCommand | undefined {
    return this.found && !isExplanation(this.found) ? this.found : undefined;
  }

  stop(): Promise<void> {
    return this.next(() => this.close());
  }

  /** Ask the server. NotRunning when there is none. */
  async request<R>(method: string, params: object, token?: CancellationToken): Promise<R> {
    await this.changing;
    const { running } = this;
    // A token that is undefined would be sent, as a second parameter.
    return await (token ? running.sendRequest<R>(method, params, token) : running.sendRequest<R>(method, params));
  }

  /** Tell the server something, if there is one. */
  notify(method: string, params: object): void {
    if (this.client && this.current.kind === "running") {
      void this.client.sendNotification(method, params).catch(() => undefined); // it has just gone
    }
  }

  /** The language client that runs, to make parameters with. NotRunning when there is none. */
  get running(): LanguageClient {
    const { client, current } = this;
    if (client && current.kind === "running") {
      return client;
    }
    const problem = `Setfill's server is ${current.kind === "stopped" ? "not running" : "starting"}.`;
    throw new NotRunning(current.kind === "failed" ? current.explanation.problem : problem);
  }

  dispose(): void {
    this.changed.dispose();
    void this.stop();
  }

  private next(step: () => Promise<void>): Promise<void> {
    this.changing = this.changing.then(step, step);
    return this.changing;
  }

  /** Start a new server, in place of any other. */
  private async launch(): Promise<void> {
    await this.close();
    this.become({ kind: "starting" });
    try {
      const found = (this.found = await findServer(this.context));
      if (isExplanation(found)) {
        this.fail(found);
        return;
      }
      this.log.info(`starting the server (${found.origin}): ${[found.command, ...found.args].join(" ")}`);
      let hasRun = false;
      const died = (): boolean => hasRun && this.client === client && this.died();
      const client: LanguageClient = new LanguageClient(SECTION, "Setfill", serverOptions(found), this.options(died));
      this.client = client;
      client.onNotification(ShowMessageNotification.type, (params) => {
        void this.showMessage(params);
      });
      client.onDidChangeState(({ newState }) => {
        if (this.client !== client) {
          return; // it is being stopped
        }
        if (newState === ConnectionState.Running) {
          hasRun = true;
          this.become({ kind: "running" });
        } else if (this.current.kind === "running") {
          this.become({ kind: "starting" }); // it died, and is being started again
        }
      });
      await client.start();
    } catch (error) {
      this.fail({ problem: `Setfill's server could not be started: ${messageOf(error)}`, remedies: REMEDIES });
    }
  }

  private async close(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    if (client) {
      await client.dispose(STOP_MS).catch((error: unknown) => {
        this.log.warn(`the server did not end in good order: ${messageOf(error)}`);
      });
    }
    this.become({ kind: "stopped" });
  }

  /** `died` is told of a death, and says whether to start the server again. */
  private options(died: () => boolean): LanguageClientOptions {
    return {
      documentSelector: DOCUMENTS,
      outputChannel: this.log,
      traceOutputChannel: withoutContents(this.log),
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: this.settings.ofMachine(),
      // By itself it asks when a file is opened only. What is committed meanwhile it learns when the file is shown again.
      diagnosticPullOptions: { onChange: true, onFocus: true },
      middleware: this.middleware,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => ({ action: died() ? CloseAction.Restart : CloseAction.DoNotRestart, handled: true }),
      },
      initializationFailedHandler: () => false,
    };
  }

  private died(): boolean {
    if (this.restarts.died(Date.now())) {
      this.log.warn("the server has gone; it is started again");
      return true;
    }
    this.fail({ problem: "Setfill's server keeps stopping, and was given up.", remedies: REMEDIES });
    return false;
  }

  private fail(explanation: Explanation): void {
    this.log.error(explanation.problem);
    this.become({ kind: "failed", explanation });
    void offer(explanation);
  }

  /** Show what the server says; an error is about the model, and has buttons for what would mend it. */
  private async showMessage({ type, message }: ShowMessageParams): Promise<void> {
    if (type === MessageType.Error) {
      // The message has no code of what is wrong: the status has.
      const status = await this.request<ServerStatus>("setfill/status", {}).catch(() => undefined);
      await offer({ problem: message, remedies: remediesFor(status?.problemCode) });
    } else if (type === MessageType.Warning) {
      void vscode.window.showWarningMessage(message);
    } else {
      void vscode.window.showInformationMessage(message);
    }
  }

  private become(state: ClientState): void {
    this.current = state;
    this.changed.fire(state);
  }
}

function sameServer(one: ServerCommand | Explanation, other: ServerCommand | Explanation | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function serverOptions(found: ServerCommand): ConstructorParameters<typeof LanguageClient>[2] {
  const env = { ...process.env, ...found.env };
  return { command: found.command, args: [...found.args], options: { env }, transport: TransportKind.stdio };
}

/** Show what is wrong, with buttons for what would mend it. */
async function offer({ problem, remedies }: Explanation): Promise<void> {
  const chosen = await vscode.window.showErrorMessage(problem, ...remedies.map(({ title }) => title));
  const remedy = remedies.find(({ title }) => title === chosen);
  if (remedy) {
    await vscode.commands.executeCommand(remedy.command, ...(remedy.arguments ?? []));
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
