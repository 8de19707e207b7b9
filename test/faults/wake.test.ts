import { expect, test } from 'vitest';
import { look, untilWaiting } from './onlooker.ts';
import { leaveNobodyBehind, start, temporaryDirectory } from './processes.ts';
import { nowMs } from './programs/now.ts';

leaveNobodyBehind();

const ttl = 30_000;
/** Far less than the lease: a death was seen, not waited for. */
const seenMs = 10_000;

test('a waiter whose message was never sent, as the sender died after the hand-over, gets the lock all the same', async () => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const mute = start('mute', { directory, ttl });
  const { session } = await mute.hears('holds');
  const wait = shared.lock('held', { ttl }).acquire();
  await untilWaiting(shared, 'held', 1);

  const told = nowMs();
  mute.tell({ what: 'release' });
  expect(await mute.ends()).toEqual({ code: null, signal: 'SIGKILL' });
  const lease = await wait;
  const ms = nowMs() - told;
  console.log(`a hand-over that nobody spoke of took ${Math.round(ms)} ms`);
  expect(ms).toBeLessThan(seenMs);
  const { holder } = await shared.lock('held').inspect();
  expect(holder?.session.id).not.toBe(session);
  await lease.release();
});

test('a waiter that dies before it can take what it was granted does not keep it', async () => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const held = await shared.lock('held', { ttl }).acquire();
  const dying = start('holder', { directory, ttl });
  await untilWaiting(shared, 'held', 1);
  const behind = start('holder', { directory, ttl });
  await untilWaiting(shared, 'held', 2);

  dying.signal('SIGSTOP');
  await held.release(); // in favour of a process that can't take notice
  expect((await shared.lock('held').inspect()).holder?.session.pid).toBe(dying.pid);
  const killed = nowMs();
  dying.signal('SIGKILL');
  await behind.hears('holds', seenMs);
  console.log(`the next in line held the lock ${Math.round(nowMs() - killed)} ms after the death of the one before`);
});

test('the whole line behind a holder goes on when all but the last in it are killed at once', async () => {
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const line = [start('holder', { directory, ttl })];
  await line[0]!.hears('holds');
  for (let waiters = 1; waiters <= 4; waiters++) {
    line.push(start('holder', { directory, ttl }));
    await untilWaiting(shared, 'held', waiters);
  }
  const last = line.pop()!;
  const killed = nowMs();
  for (const program of line) program.signal('SIGKILL');
  await last.hears('holds', seenMs);
  console.log(`the last of five held the lock ${Math.round(nowMs() - killed)} ms after the death of the others`);
  expect((await shared.lock('held').inspect()).waiters).toEqual([]);
});
