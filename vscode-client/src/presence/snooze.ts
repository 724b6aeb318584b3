/** A pause of automatic suggestions that ends by itself. */

export class Snooze {
  private timer: NodeJS.Timeout | undefined;
  private end: Date | undefined;

  /** `changed` is called when a pause begins or ends. */
  constructor(private readonly changed: () => void) {}

  /** When the pause ends, undefined outside of one. */
  get until(): Date | undefined {
    return this.end;
  }

  /** Pause from now on, for so many milliseconds. */
  start(ms: number): void {
    clearTimeout(this.timer);
    this.end = new Date(Date.now() + ms);
    this.timer = setTimeout(() => {
      this.stop();
    }, ms);
    this.changed();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.end = undefined;
    this.changed();
  }

  dispose(): void {
    clearTimeout(this.timer);
  }
}
