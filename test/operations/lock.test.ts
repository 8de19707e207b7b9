import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import * as lock from '../../src/operations/lock.ts';
import { handClock, memorySubject } from './subjects.ts';
import { call } from './verbs/verbs.ts';

const openEveryMs = 50;

/** What a session asks for first. */
function firstAsk(session: string): lock.Ask {
  return { token: `${session}:1:10000`, ttlMs: '10000', wait: 1, fences: 1, queueMs: 60_000, gives: '' };
}

type Asked = string | lock.Granted | lock.Held;

test('a lock that others poll for goes from waiter to waiter for a while, and is then left free once', async () => {
  const clock = handClock();
  clock.nowUs = 1_700_000_000_000_000; // a span begins
  const store = memorySubject(clock);
  onTestFinished(() => store.close());
  const at = keysOf('test').lockAt('job');
  const mail: string[] = [];
  const sessions = ['a', 'b', 'c'];
  for (const session of sessions) await store.connect(session, (text) => mail.push(text));
  const ask = (session: string): Promise<Asked> => store.run(lock.acquire, at, firstAsk(session));
  const release = (owner: string): Promise<number> => store.run(lock.release, at, { owner, fences: 1, openEveryMs });
  const owner = async (): Promise<string> => String((await store.run(lock.look, at, { from: 0, to: 0 }))[0]);

  const first = (await ask('a')) as string;
  await ask('b');
  await ask('c');
  clock.nowUs += 49_000;
  await release(first);
  const second = await owner();
  expect(second).toMatch(/^b:/);

  clock.nowUs += 2_000; // the next span
  mail.length = 0;
  await release(second);
  expect(await owner()).toBe('');
  expect(mail).toEqual([expect.stringMatching(/^open c:1:10000 /)]);
  expect((await ask('c'))[0]).toBe('granted');
});

test('who takes several locks at once does not overtake who waits for one of them', async () => {
  const clock = handClock();
  const store = memorySubject(clock);
  onTestFinished(() => store.close());
  const [one, other] = [keysOf('test').lockAt('one'), keysOf('test').lockAt('other')];
  const mail: string[] = [];
  for (const session of ['a', 'b', 'c']) await store.connect(session, (text) => mail.push(`${session}: ${text}`));
  await store.run(lock.acquire, other, firstAsk('a'));
  await store.run(lock.acquire, other, firstAsk('b'));
  const all = [one.fences, one.owner, one.queue, other.owner, other.queue];
  const takeAll = (): Promise<readonly unknown[]> =>
    store.runBatch(lock.acquireAll, all, ['1', 'c:1:10000', 'c:2:10000']);
  expect(await takeAll()).toEqual(['held', 1]);
  clock.nowUs += 10_001_000; // the holder's lease is over, and nobody noticed
  expect(await takeAll()).toEqual(['held', 1]);
  expect(mail.at(-1)).toMatch(/^b: granted b:1:10000:/);
  await store.run(lock.leave, other, { token: 'b:1:10000', fences: 1 });
  expect((await takeAll())[0]).toBe('granted');
});

test.for([
  ['999', 1_000, 1_000],
  ['1000', 1_000, 1_001],
  ['1001', 1_000, 1_002],
  ['1000', 999, 1_001],
  ['2000', 13, 2_001],
  ['13', 2_000, 2_000],
  ['0', 1, 1],
  ['foreign', 1_000_000, 1_000_000],
  ['zzzz', 1_000, 1_000],
  ['0999', 1_000, 1_000],
  ['-999', 1_000, 1_000],
] as const)('behind a last fence of %s, at %d µs, the next one is %d', async ([last, nowUs, fence]) => {
  const clock = handClock();
  clock.nowUs = nowUs;
  const store = memorySubject(clock);
  onTestFinished(() => store.close());
  const at = keysOf('test').lockAt('job');
  await store.runBatch(call, [at.fences], ['set', last]);
  expect(await store.run(lock.acquire, at, firstAsk('a'))).toBe(`a:1:10000:${fence}:${nowUs}`);
  expect(await store.runBatch(call, [at.fences], ['get'])).toEqual([String(fence)]);
});

test('whoever left a lock open to a waiter that is dead hands it to the next', async () => {
  const clock = handClock();
  clock.nowUs = 1_700_000_000_000_000;
  const store = memorySubject(clock);
  onTestFinished(() => store.close());
  const at = keysOf('test').lockAt('job');
  for (const session of ['a', 'b', 'c']) await store.connect(session, () => {});
  for (const session of ['a', 'b', 'c']) await store.run(lock.acquire, at, firstAsk(session));
  const [owner] = await store.run(lock.look, at, { from: 0, to: 0 });
  await store.disconnect('b');
  clock.nowUs += 60_000;
  await store.run(lock.release, at, { owner: String(owner), fences: 1, openEveryMs });
  expect((await store.run(lock.look, at, { from: 0, to: 0 }))[0]).toMatch(/^c:/);
});

test('who gives a lock back in the step that asks for it anew stands behind those who wait, or has it again', async () => {
  const store = memorySubject(handClock());
  onTestFinished(() => store.close());
  const at = keysOf('test').lockAt('job');
  const mail: string[] = [];
  for (const session of ['a', 'b']) await store.connect(session, (text) => mail.push(text));
  const ask = (token: string, gives = ''): Promise<Asked> =>
    store.run(lock.acquire, at, { token, ttlMs: '10000', wait: 1, fences: 8, queueMs: 60_000, gives });

  const first = (await ask('a:1:10000')) as string;
  const [, alone] = (await ask('a:2:10000', first)) as lock.Granted;
  expect(alone).toMatch(/^a:2:/);
  await ask('b:1:10000');
  mail.length = 0;
  const [verdict, holder] = (await ask('a:3:10000', alone)) as lock.Held;
  expect([verdict, holder.split(':').slice(0, 2)]).toEqual(['held', ['b', '1']]);
  expect(mail).toEqual([expect.stringMatching(/^granted b:1:10000:/)]);
  expect(await ask('a:3:10000', alone)).toEqual(['held', holder, 10_000, holder]); // the reply was lost
  await store.run(lock.release, at, { owner: holder, fences: 8, openEveryMs: 0 });
  expect((await ask('a:3:10000'))[0]).toBe('granted');
});
