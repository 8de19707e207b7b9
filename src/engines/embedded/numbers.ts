import type { Statement } from './driver.ts';
import type { Hash } from './slots.ts';

/**
 * Numbers of collections, by which their members are found: each has one that no other has in its table. It is made of
 * the key, so that a collection that comes and goes keeps its place in the tree.
 */
export interface Numbers {
  /** The number of a new collection, in a table where these are its rows (`rowsOf`). */
  claim(key: string, kind: number): number;
  /** Others may have made collections, or there were many. */
  forget(): void;
}

const numbersMax = 2 ** 30;

/** `isTaken`: a statement by kind, which gives a row if a number, given twice, has rows. */
export function numbersOf(
  sql: (text: string) => Statement,
  hash: Hash,
  isTaken: readonly (string | undefined)[],
): Numbers {
  /** Whose a number was last, in this table: it is still free for it. */
  const claims = new Map<number, string>();

  return {
    claim(key, kind) {
      let number = hash(key) >>> 2;
      if (claims.get(kind * numbersMax + number) === key) return number;
      while (sql(isTaken[kind]!).get(number, number) !== undefined) number = (number + 1) % numbersMax;
      claims.set(kind * numbersMax + number, key);
      return number;
    },
    forget: () => claims.clear(),
  };
}
