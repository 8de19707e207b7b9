/** Members ordered by score, then by their UTF-8 bytes, as Redis and SQLite order them. */
export class SortedSet {
  readonly #scores = new Map<string, number>();
  readonly #ordered: string[] = [];

  get size(): number {
    return this.#ordered.length;
  }

  score(member: string): number | undefined {
    return this.#scores.get(member);
  }

  set(member: string, score: number): void {
    this.delete(member);
    this.#ordered.splice(this.#position(score, member), 0, member);
    this.#scores.set(member, score);
  }

  delete(member: string): boolean {
    const score = this.#scores.get(member);
    if (score === undefined) return false;
    this.#ordered.splice(this.#position(score, member), 1);
    return this.#scores.delete(member);
  }

  /** All members, in order; not to be changed. */
  members(): readonly string[] {
    return this.#ordered;
  }

  /** At most `limit` members with `from` <= score <= `to`. */
  between(from: number, to: number, limit: number): string[] {
    const found: string[] = [];
    for (let i = this.#position(from, ''); i < this.#ordered.length && found.length < limit; i++) {
      const member = this.#ordered[i]!;
      if (this.#scores.get(member)! > to) break;
      found.push(member);
    }
    return found;
  }

  /** The number of members with `from` <= score <= `to`. */
  count(from: number, to: number): number {
    return Math.max(0, this.#position(to + 1, '') - this.#position(from, ''));
  }

  /** The last member with a score below `score`. */
  before(score: number): string | undefined {
    return this.#ordered[this.#position(score, '') - 1];
  }

  /** How many members come before (`score`, `member`). */
  #position(score: number, member: string): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#ordered[middle]!;
      const difference = this.#scores.get(other)! - score;
      if (difference < 0 || (difference === 0 && compareBytes(other, member) < 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The order of two texts by their UTF-8 bytes. JavaScript's own compares UTF-16 units, and puts U+1F600 before U+FB00. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return byCodePoint(x) - byCodePoint(y);
  }
  return a.length - b.length;
}

/** Moves surrogates, which stand for the highest code points, behind all other units. */
function byCodePoint(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
