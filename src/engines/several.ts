import { invalidArgument } from '../base/errors.ts';
import type { Tx } from '../operations/tx.ts';

export type Several = 'existsEither' | 'existsAny' | 'hincrby' | 'hdelAll' | 'rpushAll' | 'zaddAll' | 'zpopmin';

/** Adds the verbs of several keys, elements or steps, for stores inside of the process, where each is a call all the same. */
export function withSeveral<T extends Omit<Tx, Several>>(tx: T): T & Pick<Tx, Several> {
  return Object.assign(tx, {
    existsEither: (key: string, other: string) => tx.exists(key) || tx.exists(other),
    existsAny: (keys: readonly string[]) => keys.some((key) => tx.exists(key)),
    hincrby(key: string, field: string, by: number) {
      const there = tx.hget(key, field) ?? '0';
      const value = (tx.integer(there) ?? Number.NaN) + by;
      if (!Number.isSafeInteger(value)) throw invalidArgument(field, there, 'an integer, in the store');
      tx.hset(key, field, String(value));
      return value;
    },
    hdelAll: (key: string, fields: readonly string[]) => sum(fields, (field) => tx.hdel(key, field)),
    rpushAll(key: string, elements: readonly string[]) {
      let length = 0;
      for (const element of elements) length = tx.rpush(key, element);
      return length;
    },
    zaddAll(key: string, entries: readonly string[]) {
      let added = 0;
      for (let i = 0; i + 1 < entries.length; i += 2) added += tx.zadd(key, Number(entries[i]), entries[i + 1]!);
      return added;
    },
    zpopmin(key: string) {
      const [first] = tx.zrange(key, 0, 0);
      if (first !== undefined) tx.zrem(key, first);
      return first;
    },
  });
}

function sum(elements: readonly string[], numberOf: (element: string) => number): number {
  let total = 0;
  for (const element of elements) total += numberOf(element);
  return total;
}
