/** What Setfill's server speaks beyond the standard, as docs/editors.md has it. */
import type { Range as LspRange } from "vscode-languageclient/node";

interface Identity {
  readonly uri: string;
  readonly version?: number;
}

export interface FileParams {
  readonly textDocument: Identity;
}

/** `setfill/infill`: either the ranges, or `holes` for all that are marked. */
export interface InfillParams extends FileParams {
  readonly ranges?: readonly LspRange[];
  readonly holes?: true;
  readonly partialResultToken?: string;
}

export interface Infill {
  readonly range: LspRange;
  readonly text: string;
  readonly confidence: number;
}

export interface InfillAnswer {
  readonly version: number;
  readonly infills: readonly Infill[];
}

/** What a running infill says so far of one gap; each replaces the one before. */
export interface PartialInfill {
  readonly index: number;
  readonly text: string;
}

/** `setfill/whySilent`. */
export interface Silence {
  readonly reason: string;
  readonly message: string;
  readonly setting?: string | null;
  readonly problemCode?: string | null;
}

/** `setfill/traceLastInfill`. */
export interface TracePage {
  readonly title: string;
  readonly html: string;
}

/** `setfill/status`. */
export interface ServerStatus {
  readonly state: "off" | "loading" | "ready" | "failed";
  readonly progress: number;
  /** What is wrong: for the user, and what to tell it by. */
  readonly problem: string | null;
  readonly problemCode: string | null;
  readonly model: string;
  readonly precision: string | null;
  readonly decodeMs: number;
  readonly workerPid: number | null;
  readonly statistics: Readonly<Record<string, number>>;
}
