import { compareBytes } from '../../base/compare-bytes.ts';

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

  /** How many members come before this one. */
  rank(member: string): number | undefined {
    const score = this.#scores.get(member);
    return score === undefined ? undefined : this.#position(score, member);
  }

  /** How many members have `from` <= score <= `to`. */
  count(from: number, to: number): number {
    return Math.max(0, this.#end(to) - this.#position(from, ''));
  }

  /** At most `limit` members with `from` <= score <= `to`. */
  between(from: number, to: number, limit: number): string[] {
    const first = this.#position(from, '');
    return this.#ordered.slice(first, Math.max(first, Math.min(this.#end(to), first + limit)));
  }

  /** The same from the last one backwards. */
  betweenReversed(to: number, from: number, limit: number): string[] {
    const end = this.#end(to);
    return this.#ordered.slice(Math.min(end, Math.max(this.#position(from, ''), end - limit)), end).reverse();
  }

  /** The last member with a score below `score`. */
  before(score: number): string | undefined {
    return this.#ordered[this.#position(score, '') - 1];
  }

  /** How many members come before (`score`, `member`). */
  #position(score: number, member: string): number {
    return this.#count((other) => {
      const its = this.#scores.get(other)!;
      return its < score || (its === score && compareBytes(other, member) < 0);
    });
  }

  /** How many members have a score of at most `score`. */
  #end(score: number): number {
    return this.#count((other) => this.#scores.get(other)! <= score);
  }

  /** How many members come before the first that `isBefore` says no to. */
  #count(isBefore: (member: string) => boolean): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.#ordered[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
