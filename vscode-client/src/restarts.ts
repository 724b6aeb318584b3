/** When a server that keeps dying is given up. Knows times only. */

/** Deaths within `windowMs` that are borne; one more, and the server is given up. */
export class Restarts {
  private deaths: number[] = [];

  constructor(
    private readonly most = 4,
    private readonly windowMs = 3 * 60_000,
  ) {}

  /** Note a death at a time in milliseconds; return whether to start the server again. */
  died(nowMs: number): boolean {
    this.deaths = [...this.deaths.filter((ms) => nowMs - ms < this.windowMs), nowMs];
    return this.deaths.length <= this.most;
  }

  forget(): void {
    this.deaths = [];
  }
}
