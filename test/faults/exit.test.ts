import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../contract/sessions.ts';
import { expectFree, look, untilWaiting } from './onlooker.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import { leaveNobodyBehind, type Program, start, temporaryDirectory } from './processes.ts';
import type { Leaving } from './programs/leaver.ts';

leaveNobodyBehind();

/** Alone: the channel to the test does not keep it alive either. */
function leave(directory: string, way: Leaving['way']): Program {
  return start('leaver', { directory, way } satisfies Leaving, { talks: false });
}

test('a process that has released what it held ends by itself', async () => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  expect(await leave(directory, 'releases').ends()).toEqual({ code: 0, signal: null });
  expect(await shared.counter('visits').get()).toBe(1);
  await expectFree(shared, 'held');
});

test('a process that closes while it holds ends by itself, and has released', async () => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  expect(await leave(directory, 'closes').ends()).toEqual({ code: 0, signal: null });
  await expectFree(shared, 'held');
});

test('a process stays alive while it waits, and no longer', async () => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const held = await shared.lock('held').acquire();
  const waiter = leave(directory, 'waits');
  await untilWaiting(shared, 'held', 1);
  await staysAlive(waiter);
  await held.release();
  expect(await waiter.ends()).toEqual({ code: 0, signal: null });
  await expectFree(shared, 'held');
});

test('a process stays alive while it holds, and no longer', async () => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const holder = leave(directory, 'holds');
  await until('it holds', async () => (await shared.lock('held').inspect()).holder !== undefined, 30_000);
  await staysAlive(holder);
  expect(await shared.lock('held').requestRelease()).toBe(true);
  expect(await holder.ends()).toEqual({ code: 0, signal: null });
  await expectFree(shared, 'held');
});

test.each([
  ['calls process.exit', 'exits', 5],
  ['dies of its own error', 'throws', 1],
] as const)('a process that %s frees what it held at once', async (_, way, code) => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const holder = leave(directory, way);
  await until('it holds', async () => (await shared.lock('held').inspect()).holder !== undefined, 30_000);
  const lease = await shared.lock('held').acquire({ timeout: '10s' }); // its own lease is three times as long
  expect((await holder.exited).code).toBe(code);
  await lease.release();
});

test.each([
  ['tryAcquire', (shared: Lockstep) => shared.lock('held').tryAcquire()],
  ['acquire with timeout 0', (shared: Lockstep) => shared.lock('held').acquire({ timeout: 0 })],
  ['lockAll with timeout 0', (shared: Lockstep) => shared.lockAll(['held', 'other'], { timeout: 0 })],
] as const)('a process that was killed is not in the way of %s', async (_, take) => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const holder = leave(directory, 'holds');
  await until('it holds', async () => (await shared.lock('held').inspect()).holder !== undefined, 30_000);
  expect(await shared.lock('held').tryAcquire()).toBeUndefined();
  holder.signal('SIGKILL');
  await holder.exited;
  expect(await take(shared)).toBeDefined();
});

async function staysAlive(program: Program): Promise<void> {
  const ended = await Promise.race([program.exited, sleep(1_000)]);
  expect(ended).toBeUndefined();
}
