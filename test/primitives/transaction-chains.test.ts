import { AsyncResource } from 'node:async_hooks';
import { describe, expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import type { BatchOperation } from '../../src/operations/tx.ts';
import { connect } from '../../src/open.ts';
import type { Read, Write } from '../../src/primitives/transaction/steps.ts';
import { Turns } from '../../src/primitives/transaction/turns.ts';
import { failure, gate, movedClock, until } from '../contract/sessions.ts';

const put: BatchOperation<number> = {
  name: 'test.put',
  batch: true,
  step(tx, keys, args) {
    tx.set(keys[0]!, args[0]!);
    return 1;
  },
};

/** A store that is far away: steps arrive in their order, and while they are held back, as they are let through. */
interface Far {
  readonly shared: Lockstep;
  /** Another session, near the store, whose writes are no transactions of the first. */
  readonly near: Lockstep;
  readonly clock: ReturnType<typeof movedClock>;
  /** The operations that were asked for, in order. */
  readonly asked: string[];
  hold(): void;
  readonly held: number;
  letThrough(steps?: number): void;
  /** How many there are in a sorted set. */
  line(key: string): number;
  /** As another program might. */
  put(key: string, text: string): Promise<void>;
}

async function farStore(): Promise<Far> {
  const clock = movedClock();
  const engine = memoryEngine({ clock });
  onTestFinished(() => engine.close());
  const asked: string[] = [];
  let isHolding = false;
  const waiting: (() => void)[] = [];
  const arrival = (): Promise<void> =>
    new Promise((arrived) => {
      if (isHolding) waiting.push(arrived);
      else setImmediate(arrived);
    });
  const far = new Proxy(engine, {
    get(target, name) {
      if (name === 'close') return (): Promise<void> => Promise.resolve();
      if (name !== 'runBatch') return target[name as keyof Engine];
      return (async (operation, keys, args) => {
        asked.push(operation.name);
        await arrival();
        return target.runBatch(operation, keys, args);
      }) as Engine['runBatch'];
    },
  });
  const shared = await connect(far, { space: 'test', label: 'far', maxStallMs: 0 });
  const near = await connect(engine, { space: 'test', label: 'near', maxStallMs: 0 });
  onTestFinished(async () => {
    isHolding = false;
    for (const arrived of waiting.splice(0)) arrived();
    await shared.close();
  });
  return {
    shared,
    near,
    clock,
    asked,
    hold: () => void (isHolding = true),
    get held() {
      return waiting.length;
    },
    line: (key) => (engine.dump()[key]?.value ?? []).length,
    put: async (key, text) => void (await engine.runBatch(put, [key], [text])),
    letThrough(steps = Infinity) {
      if (steps === Infinity) isHolding = false;
      for (const arrived of waiting.splice(0, steps)) arrived();
    },
  };
}

/** Adds one to an entry that it reads. */
function addOne(shared: Lockstep, key: string): Promise<number> {
  return shared.transaction(async (tx) => {
    const map = tx.map<number>('m');
    const sum = ((await map.get(key)) ?? 0) + 1;
    await map.set(key, sum);
    return sum;
  });
}

const outside = AsyncResource.bind(<R>(work: () => R): R => work());

/** Lets what was asked for read, and holds back what it then asks for. */
async function untilCommitIsHeld(far: Far): Promise<void> {
  await until('it reads', () => far.held === 1);
  far.letThrough(1);
  await until('its commit is on its way', () => far.held === 1);
}

/** One that makes `x` one more, and whose commit is held back. */
async function onItsWay(far: Far): Promise<{ readonly sum: Promise<number> }> {
  far.hold();
  const sum = addOne(far.shared, 'x');
  sum.catch(() => {});
  await untilCommitIsHeld(far);
  return { sum };
}

describe('behind a commit that is on its way', () => {
  test('one that leaves the line before the one ahead of it is sent does not disturb that one', () => {
    const place = { what: 'map "m"', keys: ['m'], kinds: ['hash'] };
    const read = (name: string): Read => ({ id: `get ${name}`, name, place, verb: 'map.get', parameters: [name] });
    const write = (name: string): Write => ({ name, place, verb: 'map.set', parameters: [name, '1'] });
    const reading = (...names: string[]): { read: Read }[] => names.map((name) => ({ read: read(name) }));
    const turns = new Turns(movedClock());
    const ahead = turns.take(reading('x'), [write('x')]);
    const behind = turns.take(reading('x', 'y'), [write('x'), write('y')]);
    behind.end(false);
    ahead.send([write('x')], { left: () => [{ id: 'get x', texts: ['1'] }] }, []);
    expect(turns.foreseen(read('x'))?.texts).toEqual(['1']);
  });

  test('those of a session that were refused together try again together', async () => {
    const far = await farStore();
    await far.near.map('m').setAll([
      ['x', 0],
      ['y', 0],
    ]);
    far.hold();
    const both = Promise.all([addOne(far.shared, 'x'), addOne(far.shared, 'y')]);
    await untilCommitIsHeld(far);
    await far.near.map('m').setAll([
      ['x', 10],
      ['y', 10],
    ]);
    far.letThrough();
    expect(await both).toEqual([11, 11]);
    expect(far.asked.slice(-4)).toEqual(['cells.look', 'cells.commit', 'cells.look', 'cells.commit']);
  });

  test('an error that a body threw is passed on only when what it had read is there', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    const { sum } = await onItsWay(far);
    const seen: unknown[] = [];
    let isSettled = false;
    const two = far.shared.transaction(async (tx) => {
      const now = await tx.map<number>('m').get('x');
      seen.push(now);
      if (now === 1) throw new Error('one');
      return now;
    });
    void two.catch(() => {}).finally(() => (isSettled = true));
    await until('it asks whether that is so', () => far.held === 2);
    expect([seen, isSettled]).toEqual([[1], false]);
    await far.near.map('m').set('x', 10);
    far.letThrough();
    expect([10, 11]).toContain(await two);
    expect(await sum).toBe(11);
    const three = far.shared.transaction(async (tx) => {
      throw new Error(String(await tx.map<number>('m').get('x')));
    });
    expect((await failure(three)).message).toBe('11');
  });

  test('what only reads does not resolve to what never was there', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    const { sum } = await onItsWay(far);
    const seen: unknown[] = [];
    const two = far.shared.transaction(async (tx) => {
      seen.push(await tx.map<number>('m').get('x'));
      return seen.at(-1);
    });
    await until('it asks whether that is so', () => far.held === 2);
    expect(seen).toEqual([1]);
    await far.near.map('m').set('x', 10);
    far.letThrough();
    expect([10, 11]).toContain(await two);
    expect(await sum).toBe(11);
  });

  test('nobody builds any more on one that was refused', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    const { sum } = await onItsWay(far);
    const seen: number[][] = [];
    const others = Array.from({ length: 5 }, async (_, i) => {
      const mine: number[] = (seen[i] = []);
      return far.shared.transaction(async (tx) => {
        const map = tx.map<number>('m');
        const now = (await map.get('x')) ?? 0;
        mine.push(now);
        await map.set('x', now + 1);
        return now + 1;
      });
    });
    await until('all build on it', () => seen.filter((mine) => mine.length > 0).length === 5);
    await far.near.map('m').set('x', 100);
    far.letThrough();
    const sums = [await sum, ...(await Promise.all(others))];
    expect(sums.toSorted((a, b) => a - b)).toEqual([101, 102, 103, 104, 105, 106]);
    // What was built on the refused one is dropped once, not again and again.
    for (const mine of seen) expect(mine.filter((now) => now < 100).length).toBeLessThan(6);
  });

  test('entries that end, or are deleted, are built on as they will be', async () => {
    const far = await farStore();
    const { sum } = await onItsWay(far);
    const ending = far.shared.transaction(async (tx) => {
      const map = tx.map<number>('m');
      const now = await map.get('x');
      await map.set('x', 2, { ttl: '1m' });
      return now;
    });
    await until('the second is on its way', () => far.held === 2);
    const deleting = far.shared.transaction(async (tx) => {
      const map = tx.map<number>('m');
      const now = await map.get('x');
      await map.delete('x');
      return now;
    });
    await until('the third is on its way', () => far.held === 3);
    const adding = addOne(far.shared, 'x');
    await until('the fourth is on its way', () => far.held === 4);
    expect(far.asked.filter((name) => name.endsWith('look'))).toHaveLength(1); // of the first: nobody else read anything
    far.letThrough();
    expect(await Promise.all([sum, ending, deleting, adding])).toEqual([1, 1, 2, 1]);
    far.clock.wallShiftMs += 120_000;
    expect(await far.near.map('m').get('x')).toBe(1); // the end went with the entry that was deleted
  });

  test('a counter stays within its bounds, also where those before took what room there was', async () => {
    const far = await farStore();
    const bounds = { min: 0, max: 2 };
    far.hold();
    const adds = Array.from({ length: 4 }, () =>
      far.shared.transaction((tx) => tx.counter('c', bounds).add(1)).catch((error: unknown) => error),
    );
    await until('they read', () => far.held === 1);
    far.letThrough();
    const sums = await Promise.all(adds);
    expect(sums.filter((sum) => typeof sum === 'number').toSorted((one, other) => one - other)).toEqual([1, 2]);
    expect(sums.filter((sum) => sum instanceof Error)).toHaveLength(2);
    expect(await far.near.counter('c').get()).toBe(2);
  });

  test('nobody builds on one whose guard was over when it came', async () => {
    const far = await farStore();
    const guard = await far.shared.lock('l').acquire();
    far.hold();
    const guarded = failure(
      far.shared.transaction(
        async (tx) => {
          const map = tx.map<number>('m');
          await map.set('x', ((await map.get('x')) ?? 0) + 100);
        },
        { guard },
      ),
    );
    await untilCommitIsHeld(far);
    const behind = addOne(far.shared, 'x');
    await far.near.lock('l').forceRelease();
    far.letThrough();
    expect((await guarded).code).toBe('LEASE_LOST');
    expect(await behind).toBe(1);
    expect(await far.near.map('m').get('x')).toBe(1);
  });

  test('a value that something else changed since is not taken for what a transaction left', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    const { sum } = await onItsWay(far);
    const runs = [0, 0];
    const copies: Promise<void>[] = [];
    for (const i of [0, 1]) {
      copies[i] = far.shared.transaction(async (tx) => {
        runs[i]! += 1;
        const map = tx.map<number>('m');
        await map.set(`copy ${i}`, (await map.get('x')) ?? 0);
      });
      await until('it is on its way too', () => far.held === 2 + i);
    }
    far.letThrough(1);
    await sum;
    await far.near.map('m').set('x', 10);
    // One of them is always in line, and has read what was left.
    let done = 0;
    const all = Promise.all(copies.map((copy) => copy.then(() => (done += 1))));
    while (done < 2) {
      far.letThrough(1);
      await new Promise((next) => setTimeout(next, 2));
    }
    await all;
    expect(await far.near.map('m').get('copy 1')).toBe(10);
    expect(Math.max(...runs)).toBeLessThan(4);
  });

  test('one that is given up does not hold up those behind it, and nobody builds on it', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    const { sum } = await onItsWay(far);
    const stop = new AbortController();
    const { opened, open } = gate();
    let runs = 0;
    const second = failure(
      far.shared.transaction(
        async (tx) => {
          const map = tx.map<number>('m');
          const now = (await map.get('x')) ?? 0;
          await map.set('x', now + 50);
          if (++runs < 2) return;
          open();
          await new Promise(() => {}); // its second run, while it has its place in line
        },
        { signal: stop.signal },
      ),
    );
    const third = addOne(far.shared, 'x');
    await far.near.map('m').set('x', 10);
    far.letThrough();
    await opened;
    stop.abort(new Error('enough'));
    expect((await second).message).toBe('enough');
    expect([await sum, await third].toSorted((a, b) => a - b)).toEqual([11, 12]);
  });

  test('one that is given up while its commit is on its way, and that is refused, rejects with the reason', async () => {
    const far = await farStore();
    const stop = new AbortController();
    far.hold();
    const one = failure(
      far.shared.transaction(
        async (tx) => {
          const map = tx.map<number>('m');
          await map.set('x', ((await map.get('x')) ?? 0) + 1);
        },
        { signal: stop.signal },
      ),
    );
    await untilCommitIsHeld(far);
    stop.abort(new Error('enough'));
    await far.near.map('m').set('x', 10);
    far.letThrough();
    expect((await one).message).toBe('enough');
    expect(await far.near.map('m').get('x')).toBe(10);
  });

  test('a body that waits for a transaction behind it in line does not wait forever', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    far.hold();
    let behind: Promise<number> | undefined;
    let runs = 0;
    const first = addOne(far.shared, 'x');
    const second = far.shared.transaction(async (tx) => {
      const map = tx.map<number>('m');
      const now = (await map.get('x')) ?? 0;
      if (++runs === 2) await (behind = addOne2());
      await map.set('x', now + 1);
    });
    const addOne2 = (): Promise<number> => outside(() => addOne(far.shared, 'x'));
    far.letThrough();
    await Promise.all([first, second]);
    expect(await behind).toBeLessThan(4);
    expect(await far.near.map('m').get('x')).toBe(3);
  });
});

describe('in a step with others', () => {
  test('who reads along with one of a wrong kind gets what was read', async () => {
    const far = await farStore();
    await far.near.map('m').set('good', 1);
    await far.near.counter('c').add(1);
    const key = '{test}:map:bad';
    await far.put(key, 'text');
    const bad = failure(far.shared.transaction((tx) => tx.map('bad').set('a', 1)));
    const read = far.shared.transaction((tx) => tx.map('m').get('good'));
    const written = addOne(far.shared, 'good');
    expect((await bad).code).toBe('WRONG_KIND');
    expect(await read).toBe(1);
    expect(await written).toBe(2);
  });

  test('of a wrong kind in the middle of those that build on each other spoils none of them', async () => {
    const far = await farStore();
    await far.put('{test}:map:bad', 'text');
    const mixed = Array.from({ length: 30 }, (_, i) =>
      i % 3 !== 1
        ? addOne(far.shared, 'x')
        : failure(
            far.shared.transaction(async (tx) => {
              const map = tx.map<number>('m');
              await map.set('x', ((await map.get('x')) ?? 0) + 1_000);
              await tx.map('bad').set('a', 1);
            }),
          ).then(({ code }) => code),
    );
    const came = await Promise.all(mixed);
    expect(came.filter((one) => one === 'WRONG_KIND').length).toBe(10);
    const sums = came.filter((one): one is number => typeof one === 'number');
    expect(sums.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test('what is read after the body has thrown does not count', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    const { sum } = await onItsWay(far);
    let runs = 0;
    const two = far.shared.transaction(async (tx) => {
      const map = tx.map<number>('m');
      const all = [map.get('x'), map.get('y'), map.get('z')] as const;
      runs += 1;
      if ((await all[0]) === 1) throw new Error('one');
      return Promise.all(all);
    });
    await far.near.map('m').set('x', 10);
    await until('it asks', () => far.held > 1);
    // The late reads arrive first, then the question, which is answered by no.
    far.letThrough();
    expect(await two).toEqual([expect.any(Number), undefined, undefined]);
    expect(await sum).toBe(11);
    expect(runs).toBeGreaterThan(1);
  });
});

describe('in line', () => {
  test('one whose body reads elsewhere each time gets through among many that do not', async () => {
    const far = await farStore();
    let stop = false;
    const busy = Array.from({ length: 6 }, async () => {
      let sums = 0;
      for (; !stop; sums++) await addOne(far.shared, 'head');
      return sums;
    });
    const chases = (async () => {
      for (let i = 0; i < 5; i++) {
        await far.shared.transaction(
          async (tx) => {
            const map = tx.map<number>('m');
            const head = (await map.get('head')) ?? 0;
            await new Promise((later) => setTimeout(later, 3));
            await map.set(`at ${head}`, ((await map.get(`at ${head}`)) ?? 0) + 1);
          },
          { timeout: 30_000 },
        );
      }
    })();
    await chases.finally(() => (stop = true));
    const sums = await Promise.all(busy);
    expect(await far.near.map('m').get('head')).toBe(sums.reduce((a, b) => a + b, 0));
  }, 90_000);

  test('one that only reads, elsewhere each time, gets through among transactions of other sessions', async () => {
    const far = await farStore();
    let stop = false;
    const busy = Array.from({ length: 4 }, async () => {
      while (!stop) {
        await addOne(far.near, 'head');
        await new Promise((next) => setImmediate(next));
      }
    });
    let done = 0;
    const reads = async (): Promise<void> => {
      for (; done < 3; done++) {
        await far.shared.transaction(
          async (tx) => {
            const map = tx.map<number>('m');
            const head = (await map.get('head')) ?? 0;
            await map.get(`at ${head}`);
          },
          { timeout: 30_000 },
        );
      }
    };
    await reads().finally(() => (stop = true));
    await Promise.all(busy);
    expect(done).toBe(3);
  }, 90_000);

  test('one that is given up in line for the commit lock, or writes nothing in the end, leaves that line', async () => {
    const far = await farStore();
    let runs = 0;
    // Overtaken until it stands in line: then it writes nothing, and the next one never ends.
    const overtaken = (last: () => unknown, timeout: number): Promise<unknown> =>
      far.shared.transaction(
        async (tx) => {
          runs += 1;
          const now = (await tx.map<number>('m').get('x')) ?? 0;
          if (runs % 18 === 0) return last();
          await far.near.map('m').set('x', now + 1);
          return tx.map('m').set('y', now);
        },
        { timeout },
      );
    await overtaken(() => 1, 30_000);
    const hangs = failure(overtaken(() => new Promise(() => {}), 3_000));
    expect((await hangs).code).toBe('TIMEOUT');
    await until('nobody is in line', () => far.line(keysOf('test').commit.queue) === 0);
    expect(runs).toBe(36);
  });

  test('a slow body among many quick ones is done, and all of them', async () => {
    const far = await farStore();
    const slow = far.shared.transaction(async (tx) => {
      const map = tx.map<number>('m');
      const now = (await map.get('x')) ?? 0;
      await new Promise((later) => setTimeout(later, 20));
      await map.set('x', now + 1);
    });
    await Promise.all([slow, ...Array.from({ length: 100 }, () => addOne(far.shared, 'x'))]);
    expect(await far.near.map('m').get('x')).toBe(101);
  });

  test('a session that closes ends those in line, and hangs on none', async () => {
    const far = await farStore();
    await far.near.map('m').set('x', 0);
    const { sum } = await onItsWay(far);
    const others = Array.from({ length: 5 }, () => addOne(far.shared, 'x').catch((error: Error) => error));
    await new Promise((next) => setImmediate(next));
    const closed = far.shared.close();
    far.letThrough();
    const came = [await sum.catch((error: Error) => error), ...(await Promise.all(others))];
    await closed;
    const done = came.filter((one) => typeof one === 'number');
    expect(await far.near.map('m').get('x')).toBe(done.length);
  });
});

describe('steps over cells', () => {
  test('give way to the long script where somebody watches or an entry ends, and come back', async () => {
    const far = await farStore();
    await addOne(far.shared, 'x');
    expect(far.asked.at(-1)).toBe('cells.commit');
    await far.near.map('m').set('ends', 1, { ttl: 60_000 });
    await addOne(far.shared, 'x');
    expect(far.asked.at(-1)).toBe('transaction.commit');
    await addOne(far.shared, 'x');
    expect(far.asked.at(-2)).toBe('transaction.look');
    await far.near.map('m').delete('ends');
    far.clock.monotonicShiftMs += 2_000;
    await addOne(far.shared, 'x');
    expect(far.asked.slice(-2)).toEqual(['cells.look', 'cells.commit']);
    expect(await far.near.map('m').get('x')).toBe(4);
  });
});
