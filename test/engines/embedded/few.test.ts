import { afterEach, expect, test } from 'vitest';
import { connect } from '../fixtures/connections.ts';
import { cleanUp, temporaryDirectory } from '../fixtures/processes.ts';

afterEach(cleanUp);

/** Some of these are in all sets, some in two, some in one. */
const members = new Map([
  ['a', ['1', '2', '3', '4']],
  ['b', ['2', '3', '5']],
  ['c', ['3', '4', '5', '6', '7']],
]);
/** A set with a member that no row of a key has room for. */
const long = '0'.repeat(250);

test('unions, intersections and differences are those of the members, wherever these stand', () => {
  const { sqlite, does } = connect(temporaryDirectory());
  const forms = new Set<string>();
  for (let large = 0; large < 8; large++) {
    does((tx) => {
      for (const [i, [key, its]] of [...members].entries()) {
        tx.del(key);
        if ((large & (1 << i)) !== 0) tx.sadd(key, long);
        for (const member of its) tx.sadd(key, member);
        tx.srem(key, long);
      }
    });
    forms.add(sqlite.prepare('SELECT group_concat(text IS NULL) FROM keys').get()!.join());
    does((tx) => {
      expect(tx.sunion(['a', 'b', 'none', 'c']).sort()).toEqual(['1', '2', '3', '4', '5', '6', '7']);
      expect(tx.sinter(['a', 'b', 'c'])).toEqual(['3']);
      expect(tx.sinter(['c', 'b']).sort()).toEqual(['3', '5']);
      expect(tx.sinter(['a', 'none', 'b'])).toEqual([]);
      expect(tx.sdiff(['a', 'b', 'c'])).toEqual(['1']);
      expect(tx.sdiff(['c', 'a', 'none']).sort()).toEqual(['5', '6', '7']);
      expect(tx.sdiff(['none', 'a'])).toEqual([]);
    });
  }
  expect(forms.size).toBe(8);
});

test('what has grown too large for its row keeps rows until it is gone', () => {
  const { sqlite, does } = connect(temporaryDirectory());
  const form = (): unknown => sqlite.prepare('SELECT text, (SELECT count(*) FROM hashes) FROM keys').all();
  does((tx) => tx.hset('h', 'field', 'value'));
  expect(form()).toEqual([['["field","value"]', 0]]);
  does((tx) => tx.hset('h', 'other', long));
  expect(form()).toEqual([[null, 2]]);
  does((tx) => tx.hdel('h', 'other'));
  expect(form()).toEqual([[null, 1]]);
  does((tx) => tx.hdel('h', 'field'));
  does((tx) => tx.hset('h', 'field', 'value'));
  expect(form()).toEqual([['["field","value"]', 0]]);
});

test.each([1, 30, 100, 200])('no row is longer than what one page keeps of it, with a key of %i letters', (length) => {
  for (const filler of ['x', '"', '\\', '\x01', 'ж', '€', '😀']) {
    const { sqlite, does } = connect(temporaryDirectory());
    const pages = (): unknown => sqlite.prepare('PRAGMA page_count').get()![0];
    const key = 'k'.repeat(length);
    const isFew = (): boolean => sqlite.prepare('SELECT text FROM keys').get()?.[0] !== null;
    does((tx) => tx.pexpire(key, tx.hset(key, 'field', '')));
    const before = pages();
    for (let i = 0; i < 300 && isFew(); i++) {
      expect(pages()).toBe(before);
      does((tx) => tx.hset(key, 'field', filler.repeat(i)));
    }
    expect(isFew()).toBe(false);
  }
});

test('scores of many digits are counted as they are written', () => {
  const { sqlite, does } = connect(temporaryDirectory());
  const pages = (): unknown => sqlite.prepare('PRAGMA page_count').get()![0];
  does((tx) => tx.zadd('z', 1, '0'));
  const before = pages();
  does((tx) => {
    for (let i = 0; i < 8; i++) tx.zadd('z', Number(`-1.234567890123${i}456e-300`), `${i}`);
  });
  const [text] = sqlite.prepare('SELECT text FROM keys').get()!;
  expect(text === null || pages() === before).toBe(true);
});

test('there is no -0, also for a connection that remembers what it wrote', () => {
  const { does } = connect(temporaryDirectory());
  does((tx) => tx.zadd('z', -0, 'member'));
  expect(does((tx) => tx.zscore('z', 'member'))).toBe(0);
  does((tx) => tx.zincrby('z', -0, 'member'));
  expect(does((tx) => tx.zscore('z', 'member'))).toBe(0);
});
