/** Versions of our own distribution, as file names of wheels tell them: 1.2.3, or 1.3.0rc1 before 1.3.0. */

const WHEEL = /^setfill-([^-]+)-py3-none-any\.whl$/;

/** The version of a wheel of Setfill; undefined for other files. */
export function versionOfWheel(file: string): string | undefined {
  return WHEEL.exec(file)?.[1];
}

export function isNewer(version: string, than: string): boolean {
  const [one, other] = [parsed(version), parsed(than)];
  for (let i = 0; i < Math.max(one.release.length, other.release.length); i++) {
    const difference = (one.release[i] ?? 0) - (other.release[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  if (one.suffix === other.suffix) return false;
  if (!one.suffix || !other.suffix) return !one.suffix; // what comes before a release has a suffix
  return one.suffix.localeCompare(other.suffix, "en", { numeric: true }) > 0;
}

function parsed(version: string): { release: number[]; suffix: string } {
  const [, release = "", suffix = ""] = /^v?(\d+(?:\.\d+)*)(.*)$/.exec(version) ?? [];
  return { release: release.split(".").map(Number), suffix };
}
