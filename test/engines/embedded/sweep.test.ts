import { afterEach, expect, test } from 'vitest';
import type { SqliteTx } from '../../../src/engines/embedded/tx.ts';
import { connect } from '../fixtures/connections.ts';
import { cleanUp, temporaryDirectory } from '../fixtures/processes.ts';

afterEach(cleanUp);

const long = (n: number): string => `${n}`.repeat(250);
const kinds: readonly (readonly [
  string,
  (tx: SqliteTx, key: string, n: number) => void,
  (tx: SqliteTx, key: string) => number,
])[] = [
  ['hashes', (tx, key, n) => tx.hset(key, `field ${n}`, long(n)), (tx, key) => tx.hlen(key)],
  ['lists', (tx, key, n) => tx.rpush(key, long(n)), (tx, key) => tx.lrange(key, 0, -1).length],
  ['sets', (tx, key, n) => tx.sadd(key, long(n)), (tx, key) => tx.sunion([key]).length],
  ['sorted', (tx, key, n) => tx.zadd(key, n, long(n)), (tx, key) => tx.zrange(key, 0, -1).length],
];

test.for(kinds)(
  'the members of an expired key go part by part (%s), and take none of another key with them',
  ([table, add, count]) => {
    for (const part of [1, 2, 3, 4, 6, 7]) {
      // Both keys have the same hash: the number of the one is free for the other once it has no rows.
      const directory = temporaryDirectory();
      const { sqlite, does } = connect(directory, undefined, 1);
      const other = connect(directory, undefined, 1);
      other.does((tx) => [0, 1, 2, 3, 4, 5].forEach((n) => add(tx, 'old', n)));
      other.sqlite.exec('UPDATE keys SET expires = 1');
      const head = sqlite.prepare("SELECT number FROM keys WHERE key = 'old'");
      const rows = sqlite.prepare(`SELECT 1 FROM ${table} WHERE ${table === 'lists' ? 'number' : 'id >> 33'} = ?`);
      let steps = 0;
      for (; head.get() !== undefined && steps < 20; steps++) {
        does((tx) => tx.sweepKey('old', part));
        const [number] = head.get() ?? [];
        if (number !== undefined) expect(rows.get(number)).toBeDefined();
        does((tx) => add(tx, 'new', steps));
        expect(does((tx) => count(tx, 'new'))).toBe(steps + 1);
      }
      expect(steps).toBeGreaterThanOrEqual(part < 6 ? 2 : 1);
      expect(sqlite.prepare('SELECT key FROM keys').all()).toEqual([['new']]);
      does((tx) => add(tx, 'old', 1));
      expect(does((tx) => count(tx, 'new'))).toBe(steps);
    }
  },
);
