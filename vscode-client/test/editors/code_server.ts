/**
 * A real VS Code without a screen: code-server, started with user data of its own and ended with all that it started.
 * Knows processes and folders; knows nothing of pages, nor of what is tested.
 */
import { execFile, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { until } from "./waiting";

/** Which VS Code: the newest that there is, or the oldest that package.json allows. */
export type Edition = "newest" | "floor";

export interface Options {
  readonly edition: Edition;
  /** The .vsix files to install. */
  readonly extensions: readonly string[];
  /** What the user has set, over `USER_SETTINGS`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** What the machine has set: settings of the scope "machine" are read from here. */
  readonly machineSettings?: Readonly<Record<string, unknown>>;
  /** Folders that the user's profile puts on PATH. VS Code asks the login shell, not the environment it starts in. */
  readonly onPath?: readonly string[];
  /** Environment over this process's; undefined takes a variable away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Run tests in the extension host: they tell their outcome by VS Code's driver, under which no notification shows. */
  readonly hostTests?: boolean;
  /** Ask whether folders are to be trusted; else all are. */
  readonly workspaceTrust?: boolean;
}

/** Where `test/editors/install` put the editors. */
export const EDITORS = path.resolve(process.env["SETFILL_EDITORS_FOLDER"] ?? "../.cache/editors/vscode");

const USER_SETTINGS = {
  "chat.disableAIFeatures": true,
  "editor.inlineSuggest.minShowDelay": 0,
  "editor.quickSuggestions": { other: "off", comments: "off", strings: "off" },
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "files.autoSave": "off",
  "files.hotExit": "off",
  "git.enabled": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "window.menuBarVisibility": "compact",
  "workbench.reduceMotion": "on", // a picture of what fades in is none
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
};
/** Keys for what has none in a browser. */
const KEYS = [{ key: "ctrl+alt+i", command: "editor.action.inlineSuggest.trigger", when: "editorTextFocus" }];
const MARK = "SETFILL_EDITOR_TEST"; // an environment variable that all processes of one run inherit

export class CodeServer {
  private constructor(
    /** A new folder with all that this run leaves: user data, logs, sockets. Removed at the end. */
    readonly folder: string,
    readonly port: number,
    private readonly group: number,
  ) {}

  /** Install the extensions and start; returns when it answers. */
  static async start(options: Options): Promise<CodeServer> {
    const folder = mkdtempSync(path.join(tmpdir(), "setfill-editor-"));
    const data = path.join(folder, "data");
    writeJson(path.join(data, "User", "settings.json"), { ...USER_SETTINGS, ...options.settings });
    writeJson(path.join(data, "User", "keybindings.json"), KEYS);
    writeJson(path.join(data, "Machine", "settings.json"), options.machineSettings ?? {});
    const runtime = path.join(folder, "runtime"); // a shared worker of this run is met by nobody else
    mkdirSync(runtime, { mode: 0o700 });
    const home = path.join(folder, "home");
    mkdirSync(home);
    writeFileSync(path.join(home, ".profile"), `PATH=${[...(options.onPath ?? []), "$PATH"].join(path.delimiter)}\n`);
    const environment = {
      ...process.env,
      HOME: home,
      SHELL: "/bin/bash",
      XDG_RUNTIME_DIR: runtime,
      EXTENSIONS_GALLERY: '{"serviceUrl": ""}', // no marketplace: nothing outside is asked for anything
      [MARK]: folder,
      ...options.environment,
    };
    const node = path.join(EDITORS, options.edition === "floor" ? "floor-node" : "node", "bin", "node");
    const code = path.join(EDITORS, options.edition, "package");
    if (!existsSync(node) || !existsSync(code)) throw new Error(`no VS Code in ${EDITORS}: run make test-editors`);
    const serve = (port: string, given: Readonly<Record<string, unknown>>): string[] => [
      path.resolve("test/editors/serve.mjs"),
      code,
      port,
      JSON.stringify({ "user-data-dir": data, "extensions-dir": path.join(folder, "extensions"), ...given }),
    ];

    const installing = serve("install", { "install-extension": options.extensions });
    if (options.extensions.length > 0) await promisify(execFile)(node, installing, { env: environment });
    const port = await freePort();
    const log = path.join(folder, "code-server.log");
    const output = openSync(log, "a");
    const serving = serve(String(port), {
      "disable-telemetry": true,
      "disable-workspace-trust": !options.workspaceTrust,
      "enable-smoke-test-driver": options.hostTests ?? false,
      "reconnection-grace-time": "5", // seconds; else extension hosts outlive their windows by hours
    });
    const child = spawn(node, serving, {
      detached: true, // a process group of its own, so that it can be ended with all that it started
      stdio: ["ignore", output, output],
      env: environment,
    });
    if (child.pid === undefined) throw new Error(`${node} cannot be started`);
    const server = new CodeServer(folder, port, child.pid);
    running.add(server);
    try {
      await until(`code-server answers on port ${port}`, async () => {
        if (child.exitCode !== null) throw new Error(`code-server ended: ${readFileSync(log, "utf8")}`);
        return (await fetch(`${server.address}/version`).catch(() => undefined))?.ok;
      });
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What a file is called inside the window. */
  remoteUri(file: string): string {
    return `vscode-remote://127.0.0.1:${this.port}${file}`;
  }

  /** All log files of VS Code and of its extensions in this run, one after the other. */
  logs(): string {
    return allFiles(path.join(this.folder, "data", "logs"))
      .concat(path.join(this.folder, "code-server.log"))
      .map((file) => `==> ${path.basename(file)}\n${readFileSync(file, "utf8")}`)
      .join("\n");
  }

  /** The processes of this run whose command line has all of `words`. */
  processes(...words: string[]): number[] {
    return runningWith(`${MARK}=${this.folder}`).filter((pid) => {
      const commandLine = readProcessFile(pid, "cmdline").replaceAll("\0", " ");
      return words.every((word) => commandLine.includes(word));
    });
  }

  /** End it, with all that it started, and remove its folder. */
  async stop(): Promise<void> {
    signalGroup(this.group, "SIGTERM");
    await until("code-server has ended", () => !signalGroup(this.group, 0), { timeoutMs: 5000 }).catch(() => undefined);
    this.kill();
    await until("nothing of it runs", () => this.processes().length === 0);
    running.delete(this);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** End it at once. */
  kill(): void {
    signalGroup(this.group, "SIGKILL");
    for (const pid of this.processes()) signal(pid, "SIGKILL"); // a shared worker is in a session of its own
  }
}

const running = new Set<CodeServer>();
process.once("exit", () => {
  for (const server of running) server.kill();
});

function writeJson(file: string, value: unknown): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(value, undefined, 2));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === "object" && address) resolve(address.port);
        else reject(new Error("no port"));
      });
    });
  });
}

function signalGroup(group: number, name: NodeJS.Signals | 0): boolean {
  return signal(-group, name);
}

/** Return whether there is anything to be signalled. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

function runningWith(variable: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readProcessFile(pid, "environ").split("\0").includes(variable));
}

function readProcessFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return ""; // it has just ended, or is another user's
  }
}

function allFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}
