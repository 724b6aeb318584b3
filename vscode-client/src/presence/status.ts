/** How Setfill is, shown: a language status item, and an item of the status bar. Asks the server only when asked for or
 * when something happened; nothing polls. */
import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";

import type { Client } from "../client";
import { DOCUMENTS } from "../documents";
import type { ServerStatus } from "../protocol";
import { remediesFor } from "../server/remedies";
import * as choices from "./choices";
import { headline, type Mood, moodOf, type Presence, record } from "./words";

type HandleProgress = NonNullable<Middleware["handleWorkDoneProgress"]>;

const REFRESH_MS = 5000; // between two looks at the counts

const ICONS: Readonly<Record<Mood, string>> = {
  off: "$(circle-slash)",
  snoozed: "$(bell-slash)",
  error: "$(error)",
  loading: "$(loading~spin)",
  busy: "$(sparkle)",
  stopped: "$(sparkle)",
  ready: "$(sparkle)",
};

export class Status implements vscode.Disposable {
  private readonly language = vscode.languages.createLanguageStatusItem("setfill.status", DOCUMENTS);
  private readonly bar = vscode.window.createStatusBarItem("setfill.status", vscode.StatusBarAlignment.Right, 90);
  private readonly subscriptions: vscode.Disposable[];
  private readonly work = new Map<number | string, { title: string; percent: number | undefined }>();
  private server: ServerStatus | undefined;
  private asked = 0; // when the server was asked last, in milliseconds
  private underWay = 0;

  constructor(
    private readonly client: Client,
    private readonly snoozedUntil: () => Date | undefined,
  ) {
    this.language.name = "Setfill";
    this.bar.name = "Setfill";
    this.bar.command = "setfill.showMenu";
    this.subscriptions = [
      this.language,
      this.bar,
      client.onDidChangeState(({ kind }) => {
        this.work.clear();
        this.server = undefined;
        this.show();
        if (kind === "running") {
          void this.refresh();
        }
      }),
      vscode.window.onDidChangeActiveTextEditor(() => {
        this.show();
      }),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration("setfill")) {
          this.show();
        }
      }),
    ];
    this.show();
    this.bar.show();
  }

  /** Long work that the server tells of. It is shown here, and not in a notification: nobody has to act on it. */
  readonly handleProgress: HandleProgress = (token, params, _next) => {
    if (params.kind === "end") {
      this.work.delete(token);
      void this.refresh();
    } else {
      const title = params.kind === "begin" ? params.title : (this.work.get(token)?.title ?? "");
      this.work.set(token, { title, percent: params.percentage });
    }
    this.show();
  };

  /** Note that a suggestion is being computed, or no more. */
  working(begins: boolean): void {
    this.underWay += begins ? 1 : -1;
    this.show();
  }

  /** Note that a request was answered: the counts are others, and what went wrong may be the model's state. */
  answered(problem: string | undefined): void {
    if (problem !== undefined || Date.now() - this.asked > REFRESH_MS) {
      void this.refresh();
    }
  }

  /** Ask the server how it is, and show it. */
  async refresh(): Promise<ServerStatus | undefined> {
    this.asked = Date.now();
    try {
      this.server = await this.client.request<ServerStatus>("setfill/status", {});
    } catch {
      this.server = undefined; // it does not run, and that is shown
    }
    this.show();
    return this.server;
  }

  get presence(): Presence {
    const { state } = this.client;
    const language = vscode.window.activeTextEditor?.document.languageId;
    return {
      client: state.kind,
      problem: state.kind === "failed" ? state.explanation.problem : (this.server?.problem ?? undefined),
      server: this.server,
      work: [...this.work.values()].at(-1),
      isBusy: this.underWay > 0,
      isOn: choices.isOn(),
      isOnForLanguage: language === undefined || choices.isOnFor(language),
      isAutomatic: choices.isAutomatic(),
      snoozedUntil: this.snoozedUntil()?.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
    };
  }

  show(): void {
    const { presence } = this;
    const mood = moodOf(presence);
    const words = headline(presence);
    this.bar.text = `${ICONS[mood]} Setfill`;
    this.bar.tooltip = [`Setfill: ${words}`, record(this.server)].filter(Boolean).join("\n");
    this.bar.accessibilityInformation = { label: `Setfill: ${words}`, role: "button" };
    this.bar.backgroundColor = mood === "error" ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
    this.language.text = `Setfill: ${words.length > 60 ? `${words.slice(0, 59)}…` : words}`;
    this.language.detail = record(this.server);
    this.language.busy = mood === "loading" || mood === "busy";
    this.language.severity =
      mood === "error" ? vscode.LanguageStatusSeverity.Error : vscode.LanguageStatusSeverity.Information;
    this.language.command = this.remedy(mood);
  }

  dispose(): void {
    for (const each of this.subscriptions) {
      each.dispose();
    }
  }

  private remedy(mood: Mood): vscode.Command {
    const { state } = this.client;
    const [first] = state.kind === "failed" ? state.explanation.remedies : remediesFor(this.server?.problemCode);
    const remedy = mood === "error" ? first : undefined;
    return remedy
      ? { ...remedy, arguments: [...(remedy.arguments ?? [])] }
      : { title: "Menu", command: "setfill.showMenu" };
  }
}
