import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LockstepError } from '../../src/base/errors.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import type { Lockstep, Transaction } from '../../src/index.ts';
import { connect } from '../../src/open.ts';
import { failure, gate } from '../contract/sessions.ts';

type Loses = 'question' | 'reply';

/** A session whose next commit that brings a read along loses what `lose` says. */
async function lossy(): Promise<{ shared: Lockstep; lose(what: Loses): void; readonly isLost: boolean }> {
  const engine = memoryEngine();
  let next: Loses | undefined;
  const far = new Proxy(engine, {
    get(target, name) {
      if (name === 'losesReplies') return true;
      if (name !== 'runBatch') return target[name as keyof Engine];
      return (async (operation, keys, args) => {
        const lost = operation.name.endsWith('commit') && args.includes('?') ? next : undefined;
        if (lost !== undefined) next = undefined;
        if (lost === 'question') throw unanswered();
        const reply = await target.runBatch(operation, keys, args);
        if (lost === 'reply') throw unanswered();
        return reply;
      }) as Engine['runBatch'];
    },
  });
  const shared = await connect(far, { space: 'test', label: 'far', maxStallMs: 0 });
  onTestFinished(() => shared.close());
  return {
    shared,
    lose: (what) => void (next = what),
    get isLost() {
      return next === undefined;
    },
  };
}

function unanswered(): LockstepError {
  return new LockstepError('UNAVAILABLE', 'the connection was lost', { details: { applied: 'unknown' } });
}

describe('a read that goes along with a commit whose reply is lost', () => {
  for (const what of ['question', 'reply'] as const) {
    test(`fails once: what failed does not write later, and its body goes on (lost: the ${what})`, async () => {
      const far = await lossy();
      const { shared } = far;
      await shared.map('m').set('k', 'old');
      const [ready, begin, done] = [gate(), gate(), gate()];
      const writer = shared.transaction(async (tx) => {
        const now = await tx.map<number>('w').get('k');
        ready.open();
        await begin.opened;
        await tx.map<number>('w').set('k', (now ?? 0) + 1);
      });
      const reader = shared.transaction(async (tx) => {
        await begin.opened;
        const failed = await Promise.all([
          failure(tx.counter('c').add(5)),
          failure(tx.map('m').delete('k')),
          failure(tx.map('m').size()),
        ]);
        await done.opened;
        await tx.map('m').set('other', 'new');
        return failed.map(({ code }) => code);
      });
      reader.catch(() => {});
      await ready.opened;
      far.lose(what);
      begin.open();
      await writer;
      await shared.map('m').size(); // behind what the writer asked for anew
      await shared.transaction((tx) => tx.map('m').get('k'));
      done.open();
      expect(await reader).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
      expect(far.isLost).toBe(true);
      expect(await shared.map('w').get('k')).toBe(1);
      expect(await shared.counter('c').get()).toBe(0);
      expect([await shared.map('m').get('k'), await shared.map('m').get('other')]).toEqual(['old', 'new']);
    });
  }
});

describe('a read that failed, and whose failure the body caught', () => {
  test('may be made again, and gives what is there then', async () => {
    const far = await lossy();
    const [ready, begin] = [gate(), gate()];
    const writer = far.shared.transaction(async (tx) => {
      await tx.map('w').get('k');
      ready.open();
      await begin.opened;
      await tx.map('w').set('k', 1);
    });
    const reader = far.shared.transaction(async (tx) => {
      await begin.opened;
      expect((await failure(tx.counter('c').add(5))).code).toBe('UNAVAILABLE');
      return tx.counter('c').add(7);
    });
    await ready.opened;
    far.lose('reply');
    begin.open();
    await writer;
    expect(await reader).toBe(7);
    expect(await far.shared.counter('c').get()).toBe(7);
  });
});

describe('what a transaction calls', () => {
  test('runs in the async context of the call, whoever else reads in the same step', async () => {
    const shared = await connect(memoryEngine(), { space: 'test', label: 'a', maxStallMs: 0 });
    onTestFinished(() => shared.close());
    await shared.map<number>('m').setAll([
      ['a', 1],
      ['b', 2],
    ]);
    await shared.value<number>('v').set(3);
    await shared.value<number>('x').set(4);
    const whose = new AsyncLocalStorage<string>();
    const called: (string | undefined)[][] = [];
    const body = (who: string) => async (tx: Transaction) => {
      const told = (what: string) => (value: unknown) => {
        called.push([who, what, whose.getStore()]);
        return value as number;
      };
      const schema = (what: string) => ({
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value: unknown) => ({ value: told(what)(value) }),
        } as const,
      });
      await Promise.all([
        tx.map<number>('m', { schema: schema('map.get') }).get('a'),
        tx.map<number>('m').update('b', told('map.update')),
        tx.value<number>('v', { schema: schema('value.get') }).get(),
        tx.value<number>('x').update(told('value.update')),
      ]);
    };
    await Promise.all(['1', '2', '3'].map((who) => whose.run(who, () => shared.transaction(body(who)))));
    expect(called.filter(([who, , context]) => who !== context)).toEqual([]);
    expect(new Set(called.map(([who, what]) => `${who} ${what}`)).size).toBe(12);
  });

  test('does not begin a transaction of its own, also where its read went along with the commit of another', async () => {
    const shared = await connect(memoryEngine(), { space: 'test', label: 'a', maxStallMs: 0 });
    onTestFinished(() => shared.close());
    const begin = gate();
    const writer = shared.transaction(async (tx) => {
      await begin.opened;
      await tx.map('w').set('k', 1);
    });
    const nested = shared.transaction(async (tx) => {
      await begin.opened;
      for (let i = 0; i < 50; i++) await Promise.resolve(); // until the writer has asked for its commit, in this turn of the event loop
      await tx.map<number>('m').update('b', () => shared.transaction((other) => other.counter('c').add()));
    });
    begin.open();
    expect((await failure(nested)).code).toBe('DEADLOCK');
    await writer;
  });
});
