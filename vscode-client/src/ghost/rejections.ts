/** Texts that the user did not want, by the place they were offered at. Holds texts in memory only; knows no editor. */

const LINES_BEFORE = 4; // the cursor's own among them
const LINES_BEHIND = 3;
const LONGEST_CHAR = 400; // of each side
const MOST_TIMES = 2;
const MOST_PLACES = 500;

/** Name a place by what surrounds it, so that it is another place once the surroundings change. */
export function placeOf(uri: string, text: string, offset: number): string {
  const before = text
    .slice(Math.max(0, offset - LONGEST_CHAR), offset)
    .split("\n")
    .slice(-LINES_BEFORE);
  const behind = text.slice(offset, offset + LONGEST_CHAR).split("\n", LINES_BEHIND);
  return [uri, before.join("\n"), behind.join("\n")].join("\0");
}

export class Rejections {
  private readonly times = new Map<string, number>();

  /** Note that a text was offered at a place and refused. */
  reject(place: string, text: string): void {
    const key = `${place}\0${text}`;
    const times = (this.times.get(key) ?? 0) + 1;
    this.times.delete(key); // so that the oldest stand first
    this.times.set(key, times);
    for (const oldest of this.times.keys()) {
      if (this.times.size <= MOST_PLACES) {
        break;
      }
      this.times.delete(oldest);
    }
  }

  /** Whether a text was refused at a place so often that it should not be offered there again. */
  isUnwanted(place: string, text: string): boolean {
    return (this.times.get(`${place}\0${text}`) ?? 0) >= MOST_TIMES;
  }
}
