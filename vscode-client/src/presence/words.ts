/** How Setfill is, in words: what the status bar, the language status and the menu say. Knows no editor. */
import type { ServerStatus } from "../protocol";

/** All that the words are made of. */
export interface Presence {
  readonly client: "stopped" | "starting" | "running" | "failed";
  /** What is wrong: with the start of the server, with the model, or with the last request. */
  readonly problem: string | undefined;
  readonly server: ServerStatus | undefined;
  /** Long work that the server tells of: its title, and how much of it is done in percent. */
  readonly work: { readonly title: string; readonly percent: number | undefined } | undefined;
  readonly isBusy: boolean;
  readonly isOn: boolean;
  readonly isOnForLanguage: boolean;
  readonly isAutomatic: boolean;
  /** The time of day a snooze ends at, in words. */
  readonly snoozedUntil: string | undefined;
}

export type Mood = "off" | "snoozed" | "error" | "loading" | "busy" | "stopped" | "ready";

export function moodOf(presence: Presence): Mood {
  const { client, problem, server, work, isBusy, isOn, isOnForLanguage, snoozedUntil } = presence;
  if (client === "failed" || problem !== undefined || server?.state === "failed") {
    return "error";
  }
  if (!isOn || !isOnForLanguage) {
    return "off";
  }
  if (snoozedUntil !== undefined) {
    return "snoozed";
  }
  if (client === "stopped") {
    return "stopped";
  }
  if (client === "starting" || server?.state === "loading" || work !== undefined) {
    return "loading";
  }
  return isBusy ? "busy" : "ready";
}

/** One line that says how it is. */
export function headline(presence: Presence): string {
  const { problem, server, work, isOn, snoozedUntil, isAutomatic } = presence;
  switch (moodOf(presence)) {
    case "error":
      return problem ?? server?.problem ?? "Setfill does not run";
    case "off":
      return isOn ? "Off for this language" : "Off";
    case "snoozed":
      return `Snoozed until ${snoozedUntil ?? ""}`;
    case "stopped":
      return "Not started: no file is open";
    case "loading":
      return work ? titled(work.title, work.percent) : "Starting";
    case "busy":
      return "Working";
    case "ready":
      return isAutomatic ? "Ready" : "Ready, on demand";
  }
}

/** The model, what suggesting costs here, and how it did since the server started; the empty text before there is any. */
export function record(server: ServerStatus | undefined): string {
  return [modelOf(server), figures(server)].filter(Boolean).join(" · ");
}

export function modelOf(server: ServerStatus | undefined): string {
  return [server?.model, server?.precision].filter(Boolean).join(", ");
}

/** What suggesting costs here, and how it did; short enough for the menu. */
export function figures(server: ServerStatus | undefined): string {
  if (!server) {
    return "";
  }
  const { shown = 0, displayed = 0, accepted = 0, partially_accepted: partly = 0, decodes = 0 } = server.statistics;
  const seen = Math.min(shown, Math.max(displayed, accepted));
  const parts: string[] = [];
  if (decodes > 0) {
    parts.push(`${decodes} computed, about ${Math.round(server.decodeMs)} ms each`);
  }
  if (seen > 0) {
    const share = Math.round((100 * accepted) / seen);
    parts.push(`${seen} seen, ${accepted} accepted (${share} %)${partly > 0 ? `, ${partly} in part` : ""}`);
  }
  return parts.join(" · ");
}

function titled(title: string, percent: number | undefined): string {
  const words = title.replace(/^Setfill: /, "");
  const said = words.charAt(0).toUpperCase() + words.slice(1);
  return percent === undefined ? said : `${said}, ${percent} %`;
}
