import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkName, checkSpace, keysOf, spaceOf } from '../../src/base/names.ts';
import { failure } from '../failure.ts';
import { randomly } from '../contract/seed.ts';

const shop = keysOf('shop');
const invalid = (argument: string): unknown => failure('INVALID_ARGUMENT', `${argument} is `);

describe('names', () => {
  it('are any well-formed text of up to 200 bytes', () => {
    for (const name of ['a', 'invoice:42', 'käse 🧀', '{x}', 'a b', 'é'.repeat(100), '\u2028']) {
      expect(() => checkName('lock name', name)).not.toThrow();
    }
  });

  it('are refused, with the argument named, when they are empty, too long, or could not be read back', () => {
    for (const name of ['', 'é'.repeat(101), 'a\n', '\0', 'a\u007f', '\ud83e', 'x\udc00', 7, undefined, null, {}]) {
      expect(() => checkName('lock name', name)).toThrow(invalid('lock name'));
    }
  });

  it('of spaces hold no braces and at most 64 bytes', () => {
    expect(() => checkSpace('my shop')).not.toThrow();
    for (const space of ['', '{shop}', 'a{', 'a}', 's'.repeat(65), 'a\n', undefined]) {
      expect(() => keysOf(space as string)).toThrow(invalid('space'));
    }
  });
});

describe('the key layout', () => {
  it('is the documented one', () => {
    expect(shop.lock('invoice:42')).toEqual({
      owner: '{shop}:lock:invoice:42',
      queue: '{shop}:lock-queue:invoice:42',
      waits: '{shop}:lock-waits:invoice:42',
      fences: '{shop}:fence',
      wanted: '{shop}:lock-wanted:invoice:42',
      shared: false,
    });
    expect(shop.counter('visits')).toEqual({
      counter: '{shop}:counter:visits',
      watchers: '{shop}:watchers:counter:visits',
    });
    expect(shop.value('x')).toEqual({ value: '{shop}:value:x', watchers: '{shop}:watchers:value:x' });
    expect(shop.map('x')).toEqual({
      map: '{shop}:map:x',
      expiry: '{shop}:map-expiry:x',
      watchers: '{shop}:watchers:map:x',
    });
    expect(shop.set('x')).toEqual({ set: '{shop}:set:x', watchers: '{shop}:watchers:set:x' });
    expect(shop.sorted('x')).toEqual({ sorted: '{shop}:sorted:x', watchers: '{shop}:watchers:sorted:x' });
    expect(shop.list('x')).toEqual({
      list: '{shop}:list:x',
      watchers: '{shop}:watchers:list:x',
      waiting: '{shop}:list-waiting:x',
      taken: '{shop}:list-taken:x',
      grants: '{shop}:list-grants:x',
      returned: '{shop}:list-returned:x',
    });
    expect([shop.fences, shop.sessions, shop.locks]).toEqual(['{shop}:fence', '{shop}:sessions', '{shop}:lock:']);
    expect(spaceOf(shop.map('{x}').map)).toBe('shop');
  });

  it('keeps the companions of a verbatim key in the slot of that key', () => {
    expect(shop.lockAt('jobs')).toEqual({
      owner: 'jobs',
      queue: 'lock-queue:{jobs}',
      waits: 'lock-waits:{jobs}',
      fences: 'lock-fence:{jobs}',
      wanted: 'lock-wanted:{jobs}',
      shared: true,
    });
    expect(shop.lockAt('job:{42}:lock')).toEqual({
      owner: 'job:{42}:lock',
      queue: 'lock-queue:job:{42}:lock',
      waits: 'lock-waits:job:{42}:lock',
      fences: 'lock-fence:job:{42}:lock',
      wanted: 'lock-wanted:job:{42}:lock',
      shared: true,
    });
  });

  it('gives a named lock the same keys by its name and by its owner key, from any space', () => {
    expect(keysOf('other').lockAt('{shop}:lock:invoice:42')).toEqual(shop.lock('invoice:42'));
  });

  it('refuses verbatim keys that it has for something else or that can have no companions', () => {
    const keys = [
      '{shop}:lock-queue:x',
      '{shop}:map:x',
      '{a}:counter:x',
      '{a}:value:x',
      '{a}:map-expiry:x',
      '{a}:watchers:set:x',
      '{shop}:fence',
      '{shop}:sessions',
    ];
    const companions = ['lock-queue:{jobs}', 'lock-fence:x', 'lock-waits:a:{b}', 'lock-wanted:x'];
    for (const key of [...keys, ...companions, 'a}b', '{}a', '{}', '{jobs}', '', 'a\n', 'k'.repeat(201)]) {
      expect(() => shop.lockAt(key)).toThrow(invalid('key'));
    }
  });

  it('never gives two things one key, and every lock one slot, whatever they are called', () => {
    const name = fc.string({
      unit: fc.constantFrom('{', '}', ':', 'a', 'shop', 'lock', 'lock-queue', 'lock-fence', '-queue'),
      minLength: 1,
      maxLength: 8,
    });
    const random = randomly(3_000);
    const seen = new Map<string, string>();
    const claim = (key: string, thing: string): void => {
      expect(seen.get(key) ?? thing).toBe(thing);
      seen.set(key, thing);
    };
    fc.assert(
      fc.property(name, (text) => {
        for (const keys of [shop, keysOf('a')]) {
          for (const kind of ['counter', 'value', 'map', 'set', 'sorted', 'list'] as const) {
            for (const [part, key] of Object.entries(keys[kind](text))) {
              claim(key as string, `${part} of ${kind} ${text} at ${keys.fences}`);
            }
          }
          claimLock(keys.lock(text), claim);
          claim(keys.fences, `fences ${keys.fences}`);
          claim(keys.sessions, `sessions ${keys.fences}`);
        }
        const verbatim = refusedOr(() => shop.lockAt(text));
        if (verbatim === undefined) return;
        claimLock(verbatim, claim);
        if (verbatim.fences.startsWith('lock-')) claim(verbatim.fences, `fences ${verbatim.owner}`);
        const { owner, queue, waits, fences } = verbatim;
        expect(new Set([owner, queue, waits, fences].map(hashed)).size).toBe(1);
      }),
      random,
    );
  });
});

function claimLock(
  lock: { owner: string; queue: string; waits: string },
  claim: (key: string, thing: string) => void,
): void {
  claim(lock.owner, `owner ${lock.owner}`);
  claim(lock.queue, `queue ${lock.owner}`);
  claim(lock.waits, `waits ${lock.owner}`);
}

/** What a Redis Cluster computes the slot of a key from, as its specification says. */
function hashed(key: string): string {
  const open = key.indexOf('{');
  if (open === -1) return key;
  const close = key.indexOf('}', open + 1);
  return close === -1 || close === open + 1 ? key : key.slice(open + 1, close);
}

function refusedOr<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
