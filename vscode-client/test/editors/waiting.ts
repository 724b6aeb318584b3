/** Waiting for what another process does. Limits are generous: they end a test that hangs, and time nothing. */

const LIMIT_MS = 60_000;
const PAUSE_MS = 50;

/** Wait until `look` returns something that is neither false nor empty, and return that. `what` is said in the error. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  { timeoutMs = LIMIT_MS }: { timeoutMs?: number } = {},
): Promise<Exclude<T, undefined | null | false | "" | 0>> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen as Exclude<T, undefined | null | false | "" | 0>;
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await pause(PAUSE_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
