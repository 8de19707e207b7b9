/** The commit lock: what its holder reads, no other transaction writes; who gets it next, and when. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import * as cells from '../../src/operations/cells.ts';
import * as transaction from '../../src/operations/transaction.ts';
import { randomly } from '../contract/seed.ts';
import { type HandClock, handClock, memorySubject } from './subjects.ts';
import { cellStepOf, stepOf, type TransactionRequest } from './transactions.ts';

const space = keysOf('test');

interface Store {
  readonly clock: HandClock;
  /** Whom the commit lock was given to, by mail. */
  readonly turns: string[];
  /** What comes of a request of this session. */
  ask(place: number, request: Partial<TransactionRequest>): Promise<string>;
  /** The same by operations/cells.ts. */
  askCells(tokens: readonly (readonly string[])[]): Promise<string>;
  disconnect(place: number): Promise<void>;
  close(): Promise<void>;
}

const session = (place: number): string => `session${place}`;

async function openStore(): Promise<Store> {
  const clock = handClock();
  const store = memorySubject(clock);
  const turns: string[] = [];
  for (const place of [0, 1, 2, 3]) {
    await store.connect(session(place), (text) => turns.push(text.split(' ').slice(0, 2).join(' ')));
  }
  return {
    clock,
    turns,
    async ask(place, request) {
      const { keys, args } = stepOf(space, session, '', [], [{ ticket: undefined, reads: [], writes: [], ...request }]);
      const reply = await store.runBatch(transaction.commit, keys, [session(place), ...args.slice(1)]);
      return String(reply[1]);
    },
    async askCells(tokens) {
      const { keys, args } = cellStepOf(space, session(1), '', 'mixed', [[...tokens.flat(), ';']], undefined);
      const [, outcome] = await store.runBatch(cells.commit, keys, args);
      return String(outcome).slice(1);
    },
    disconnect: (place) => store.disconnect(session(place)),
    close: () => store.close(),
  };
}

/** Not what is there, whatever that is. */
const never = ['never', 'this'];

type Touch = readonly [verb: string, ...parameters: string[]];

/** A part of a thing; '' for the whole of it. */
function partOf([verb, first]: Touch): string {
  return /^(map|set|sorted)\.(get|has|score|fits|set|setFor|add|delete)$/.test(verb) ? first! : '';
}

/** Whether the commit lock, for who reads `read`, keeps `write`. */
function keeps(read: Touch, write: Touch): boolean {
  const isSameThing = read[0].split('.')[0] === write[0].split('.')[0];
  return isSameThing && (partOf(read) === '' || partOf(read) === partOf(write));
}

const fields = fc.constantFrom('x', 'é', '😀');
const touch = (verb: string, ...parameters: fc.Arbitrary<string>[]): fc.Arbitrary<Touch> =>
  fc.tuple(fc.constant(verb), ...parameters);
const is = (text: string): fc.Arbitrary<string> => fc.constant(text);

const read = fc.oneof(
  touch('map.get', fields),
  touch('map.get', fields),
  touch('map.size'),
  touch('value.get'),
  touch('counter.get'),
  touch('set.has', fields),
  touch('set.size'),
  touch('sorted.score', fields),
  touch('sorted.fits', fields, is('1')),
  touch('sorted.size'),
  touch('list.length'),
  touch('queue.holds', is('1:1:nobody:1')),
);

const write = fc.oneof(
  touch('map.set', fields, is('a')),
  touch('map.setFor', fields, is('a'), is('1000')),
  touch('map.delete', fields),
  touch('value.set', is('a')),
  touch('value.delete'),
  touch('counter.set', is('2')),
  touch('set.add', fields),
  touch('set.delete', fields),
  touch('sorted.set', fields, is('1')),
  touch('sorted.add', fields, is('1')),
  touch('sorted.delete', fields),
  touch('list.push', is('back'), is('a')),
  touch('list.pop', is('back')),
);

const requestOf = (reads: readonly Touch[], writes: readonly Touch[]): Partial<TransactionRequest> => ({
  reads: reads.map(([verb, ...parameters]) => ({ verb, parameters, expected: never })),
  writes: writes.map(([verb, ...parameters]) => ({ verb, parameters })),
});

test('what the holder of the commit lock reads is written by nobody else, for a second; all else is', async () => {
  const found = { ok: 0, turn: 0 };
  const run = randomly(500);
  const some = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(one, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(some(read), some(write), async (reads, writes) => {
      const { ask, clock, close } = await openStore();
      expect(await ask(0, { ticket: 0, ...requestOf(reads, []) })).toBe('granted');
      const isKept = writes.some((its) => reads.some((one) => keeps(one, its)));
      const outcome = await ask(1, requestOf([], writes));
      expect(outcome).toBe(isKept ? 'turn' : 'ok');
      found[isKept ? 'turn' : 'ok'] += 1;
      clock.nowUs += 999_000;
      expect(await ask(1, requestOf([], writes))).toBe(outcome);
      clock.nowUs += 2_000;
      expect(await ask(1, requestOf([], writes))).toBe('ok');
      await close();
    }),
    run,
  );
  expect(Math.min(found.ok, found.turn)).toBeGreaterThan(run.numRuns / 20);
});

/** What each cell is, by how it is read. */
const readsOfCells: readonly Touch[] = [
  ['map.get', 'x'],
  ['map.get', 'é'],
  ['map.get', '😀'],
  ['value.get'],
  ['counter.get'],
];

const cellToken = fc
  .tuple(fc.nat(4), fc.constantFrom('0', '0', '+', '!', '-', '#'))
  .map(([cell, verb]) => [verb === '#' && cell !== 4 ? '!' : verb, cell] as const);

test('cells that the holder of the commit lock reads are written by nobody else', async () => {
  const found = { ok: 0, turn: 0 };
  const run = randomly(500);
  const tokens = fc.uniqueArray(cellToken, { minLength: 1, maxLength: 4, selector: ([, cell]) => cell });
  await fc.assert(
    fc.asyncProperty(fc.array(read, { minLength: 1, maxLength: 3 }), tokens, async (reads, asked) => {
      const { ask, askCells, clock, close } = await openStore();
      expect(await ask(0, { ticket: 0, ...requestOf(reads, []) })).toBe('granted');
      const isKept = asked.some(([verb, cell]) => verb !== '0' && reads.some((one) => keeps(one, readsOfCells[cell]!)));
      const request = asked.map(([verb, cell]) => {
        return verb === '0' || verb === '-' ? [verb, String(cell)] : [verb, String(cell), cell === 4 ? '1' : 'a'];
      });
      expect(await askCells(request)).toBe(isKept ? 'turn' : 'ok');
      found[isKept ? 'turn' : 'ok'] += 1;
      clock.nowUs += 1_001_000;
      if (isKept) expect(await askCells(request)).toBe('ok');
      await close();
    }),
    run,
  );
  expect(Math.min(found.ok, found.turn)).toBeGreaterThan(run.numRuns / 20);
});

test('the commit lock goes to who came next, whatever the clock does, and by that to nobody who is gone', async () => {
  const { ask, clock, turns, disconnect, close } = await openStore();
  onTestFinished(close);
  const conflict = requestOf([['map.get', 'x']], []);
  const waits = (place: number): Promise<string> => ask(place, { ticket: place, ...conflict });
  expect(await waits(0)).toBe('granted');
  expect(await waits(0)).toBe('overtaken');
  expect(await waits(1)).toBe('conflict');
  clock.nowUs -= 10_000_000;
  expect(await waits(2)).toBe('conflict');
  clock.nowUs -= 10_000_000;
  expect(await waits(3)).toBe('conflict');
  expect(await waits(1)).toBe('conflict'); // it stays where it is in the line
  expect(await ask(0, { ticket: 0 })).toBe('ok');
  expect(turns).toEqual([`turn ${session(1)}:1`]);
  await disconnect(2);
  expect(await ask(1, { ticket: 1 })).toBe('ok');
  expect(turns.slice(1)).toEqual([`turn ${session(3)}:1`]);
  expect(await ask(3, { ticket: 3 })).toBe('ok');
  expect(await waits(1)).toBe('granted');
});

test('who has the commit lock and does not move loses it after a second to the next, and gets in line anew', async () => {
  const { ask, clock, turns, close } = await openStore();
  onTestFinished(close);
  const conflict = requestOf([['map.get', 'x']], []);
  const waits = (place: number): Promise<string> => ask(place, { ticket: place, ...conflict });
  expect(await waits(0)).toBe('granted');
  expect(await waits(0)).toBe('overtaken'); // by which it is not in line again
  for (const place of [1, 2]) expect(await waits(place)).toBe('conflict');
  clock.nowUs += 1_001_000;
  expect(await waits(2)).toBe('conflict'); // by which 1 has it
  expect(turns).toEqual([`turn ${session(1)}:1`]);
  expect(await waits(0)).toBe('conflict');
  expect(await ask(1, { ticket: 1 })).toBe('ok');
  expect(await ask(2, { ticket: 2 })).toBe('ok');
  expect(turns.slice(1)).toEqual([`turn ${session(2)}:1`, `turn ${session(0)}:1`]);
});
