import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Codec, StandardSchemaV1 } from '../../src/base/codec.ts';
import { LockstepError } from '../../src/base/errors.ts';
import { keysOf } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { createMap, type SharedMap } from '../../src/primitives/map.ts';
import { Session } from '../../src/session/session.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { guarding, hold } from './hold.ts';
import { randomly } from './seed.ts';
import { collect } from './sessions.ts';

const keys = keysOf('shop');
const stockKeys = keys.map('stock');

describe('a map', () => {
  eachEngine((_, openStore) => {
    const engineOf = async (): Promise<Engine> => (await openStore()).engine();
    const open = async <V = unknown>(options?: Parameters<typeof createMap<V>>[3]): Promise<SharedMap<V>> =>
      createMap<V>(await sessionOn(await engineOf()), 'stock', stockKeys, options);

    it('gives back what was set, and nothing where nothing was', async () => {
      const stock = await open();
      expect(await stock.get('apple')).toBeUndefined();
      expect(await stock.has('apple')).toBe(false);
      await stock.set('apple', { left: 3, tags: ['red', null], note: '' });
      expect(await stock.get('apple')).toEqual({ left: 3, tags: ['red', null], note: '' });
      expect(await stock.has('apple')).toBe(true);
      expect(await stock.size()).toBe(1);
      expect(await stock.delete('apple')).toBe(true);
      expect(await stock.delete('apple')).toBe(false);
      expect(await stock.size()).toBe(0);
    });

    it('is one map for all who open it', async () => {
      const store = await openStore();
      const here = createMap<number>(await sessionOn(await store.engine()), 'stock', stockKeys);
      const there = createMap<number>(await sessionOn(await store.engine()), 'stock', stockKeys);
      await here.set('apple', 3);
      expect(await there.get('apple')).toBe(3);
      await there.delete('apple');
      expect(await here.has('apple')).toBe(false);
    });

    it('keeps the last of writes that were called one after the other without waiting', async () => {
      const stock = await open<number>();
      await Promise.all([1, 2, 3, 4, 5].map((n) => stock.set('apple', n)));
      expect(await stock.get('apple')).toBe(5);
    });

    it('brings every JSON value and every fit key back unchanged', { timeout: 60_000 }, async () => {
      const stock = await open();
      const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((text) => !/\p{Cc}/u.test(text));
      const value = fc.oneof(
        fc.jsonValue({ stringUnit: 'binary' }),
        fc.string({ unit: 'binary' }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
      );
      await fc.assert(
        fc.asyncProperty(key, value, async (name, given) => {
          await stock.set(name, given);
          expect(await stock.get(name)).toEqual(JSON.parse(JSON.stringify(given)));
        }),
        randomly(150),
      );
    });

    it('refuses keys that can not be told apart or read, and values that are too long', async () => {
      const stock = await open();
      for (const key of ['', 'a\nb', 'a\0b', '\ud800', 'k'.repeat(1_025), 7 as never, undefined as never]) {
        await expect(stock.set(key, 1)).rejects.toEqual(failure('INVALID_ARGUMENT'));
        await expect(stock.get(key)).rejects.toEqual(failure('INVALID_ARGUMENT'));
        await expect(stock.delete(key)).rejects.toEqual(failure('INVALID_ARGUMENT'));
      }
      const tooLong = stock.set('apple', 'x'.repeat(16_777_216));
      await expect(tooLong).rejects.toEqual(failure('INVALID_VALUE', '"apple"'));
      expect(await stock.size()).toBe(0);
    });

    it('refuses what JSON would lose, and writes nothing', async () => {
      const stock = await open();
      for (const value of [undefined, Number.NaN, { a: [1, Number.NaN] }, () => 1, 1n, new Date(), new Map()]) {
        await expect(stock.set('apple', value)).rejects.toEqual(failure('INVALID_VALUE'));
      }
      expect(await stock.has('apple')).toBe(false);
    });

    it('validates by its schema on write and on read, also where the schema is asynchronous', async () => {
      const engine = await engineOf();
      const loose = createMap(await sessionOn(engine), 'stock', stockKeys);
      for (const schema of [amount, later(amount)]) {
        const stock = createMap<number>(await sessionOn(engine), 'stock', stockKeys, { schema });
        await stock.set('apple', 3);
        expect(await stock.get('apple')).toBe(3);
        await expect(stock.set('apple', -1)).rejects.toEqual(
          failure('INVALID_VALUE', /map "stock", key "apple".*must be 0 or more/),
        );
        expect(await stock.get('apple')).toBe(3);
        await loose.set('pear', 'none');
        await expect(stock.get('pear')).rejects.toEqual(
          failure('INVALID_VALUE', /map "stock", key "pear".*must be a number/),
        );
      }
    });

    it('stores values by its codec, and says which one it can not read', async () => {
      const engine = await engineOf();
      const dates: Codec<Date> = {
        encode: (date) => date.toISOString(),
        decode(text) {
          if (Number.isNaN(Date.parse(text))) throw new Error('no date');
          return new Date(text);
        },
      };
      const due = createMap(await sessionOn(engine), 'stock', stockKeys, { codec: dates });
      await due.set('rent', new Date(0));
      expect(await due.get('rent')).toEqual(new Date(0));
      const raw = createMap<string>(await sessionOn(engine), 'stock', stockKeys, {
        codec: { encode: String, decode: String },
      });
      expect(await raw.get('rent')).toBe('1970-01-01T00:00:00.000Z');
      await raw.set('rent', 'soon');
      await expect(due.get('rent')).rejects.toEqual(failure('INVALID_VALUE', '"rent"'));
      await expect(createMap(await sessionOn(engine), 'stock', stockKeys).get('rent')).rejects.toEqual(
        failure('INVALID_VALUE'),
      );
    });

    it('iterates over all entries, of as many pages as there are', async () => {
      const stock = await open<number>();
      const wanted = Array.from({ length: 1_050 }, (_value, i): [string, number] => [`item ${i}`, i]);
      await Promise.all(wanted.map(([key, value]) => stock.set(key, value)));
      const byValue = (a: [string, number], b: [string, number]): number => a[1] - b[1];
      expect((await collect(stock)).sort(byValue)).toEqual(wanted);
      expect((await collect(stock.entries())).sort(byValue)).toEqual(wanted);
      expect((await collect(stock.values())).sort((a, b) => a - b)).toEqual(wanted.map(([, value]) => value));
      expect((await collect(stock.keys())).sort()).toEqual(wanted.map(([key]) => key).sort());
      expect(await collect((await open()).entries())).toEqual([]);
    });

    it('gives what stays exactly once while others write and delete', async () => {
      const store = await openStore();
      const stock = createMap<number>(await sessionOn(await store.engine()), 'stock', stockKeys);
      const other = createMap<number>(await sessionOn(await store.engine()), 'stock', stockKeys);
      const staying = Array.from({ length: 600 }, (_value, i) => `stays ${i}`);
      await Promise.all([...staying, ...staying.map((key) => `goes ${key}`)].map((key) => stock.set(key, 1)));
      const seen: string[] = [];
      for await (const key of stock.keys()) {
        seen.push(key);
        if (seen.length % 3 === 0) await other.delete(`goes stays ${seen.length}`);
        if (seen.length % 5 === 0 && seen.length < 2_000) await other.set(`new ${seen.length}`, 1);
      }
      expect(seen.length).toBe(new Set(seen).size);
      expect(seen.filter((key) => key.startsWith('stays')).sort()).toEqual([...staying].sort());
    });

    it('stops reading when the iteration is left early', async () => {
      const stock = await open<number>();
      await Promise.all(Array.from({ length: 500 }, (_value, i) => stock.set(`item ${i}`, i)));
      let count = 0;
      for await (const _entry of stock) if (++count === 3) break;
      expect(count).toBe(3);
    });

    it('writes under a guard while its lease is the owner, and not after', async () => {
      const store = await openStore();
      const engine = await store.engine();
      const stock = createMap<number>(await sessionOn(engine), 'stock', stockKeys);
      const first = await hold(engine, 'stocktaking');
      await stock.set('apple', 1, { guard: first.lease });
      expect(await stock.delete('pear', { guard: first.lease })).toBe(false);

      await first.release();
      const second = await hold(engine, 'stocktaking');
      const late = failure('LEASE_LOST', '"stocktaking"');
      await expect(stock.set('apple', 2, { guard: first.lease })).rejects.toEqual(late);
      await expect(stock.delete('apple', { guard: first.lease })).rejects.toEqual(late);
      expect(await stock.get('apple')).toBe(1);
      await stock.set('apple', 3, { guard: second.lease });
      expect(await stock.get('apple')).toBe(3);
    });

    it('refuses a guard that is over, none, or of another store or space, before it asks the store', async () => {
      const engine = await engineOf();
      const stock = createMap<number>(await sessionOn(engine), 'stock', stockKeys);
      const { lease, place } = await hold(engine, 'stocktaking');
      const over = new LockstepError('LEASE_LOST', 'over');
      const released = guarding(() => {
        throw over;
      });
      await expect(stock.set('apple', 1, { guard: released })).rejects.toBe(over);
      const elsewhere = [
        guarding(() => ({ ...place, space: 'other' })),
        guarding(() => ({ ...place, engine: { ...engine } })),
      ];
      const none = [undefined, null, {}, 'stocktaking'] as never[];
      for (const guard of [...elsewhere, ...none]) {
        const refused = failure('INVALID_ARGUMENT', 'guard');
        await expect(stock.set('apple', 1, { guard })).rejects.toEqual(refused);
        await expect(stock.delete('apple', { guard })).rejects.toEqual(refused);
      }
      expect(await stock.size()).toBe(0);
      await stock.set('apple', 1, { guard: lease });
    });
  });
});

async function sessionOn(engine: Engine): Promise<Session> {
  const session = await Session.open(engine, { space: 'shop', label: 'test', maxStallMs: 0 });
  onTestFinished(() => session.close());
  return session;
}

const amount: StandardSchemaV1<unknown, number> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate(value) {
      if (typeof value !== 'number') return { issues: [{ message: 'must be a number' }] };
      return value >= 0 ? { value } : { issues: [{ message: 'must be 0 or more' }] };
    },
  },
};

function later<V>(schema: StandardSchemaV1<unknown, V>): StandardSchemaV1<unknown, V> {
  const { validate } = schema['~standard'];
  return { '~standard': { version: 1, vendor: 'test', validate: async (value) => validate(value) } };
}
