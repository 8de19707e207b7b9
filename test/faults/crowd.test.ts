import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sizeOf } from './chance.ts';
import { expectFree, look, untilWaiting } from './onlooker.ts';
import { leaveNobodyBehind, start, temporaryDirectory } from './processes.ts';
import { nowMs } from './programs/now.ts';

leaveNobodyBehind();

const openers = sizeOf('OPENERS', 60);
const locks = sizeOf('LOCKS', 100_000);

test(
  `${openers} processes that open at once all get in, and count exactly`,
  { timeout: 60_000 + openers * 6_000 },
  async () => {
    const directory = temporaryDirectory();
    const begun = nowMs();
    const programs = Array.from({ length: openers }, () => start('opener', { directory }));
    // Whatever else runs on the machine goes first: its tests know nothing of a crowd.
    for (const { pid } of programs) setPriority(pid, 15);
    const exits = await Promise.all(programs.map((program) => program.ends(30_000 + openers * 6_000)));
    expect(exits.filter(({ code }) => code !== 0)).toEqual([]);
    console.log(`${openers} processes opened, took a lock and closed in ${Math.round(nowMs() - begun)} ms`);

    const shared = await look(directory);
    expect(await shared.counter('openers').get()).toBe(openers);
    expect(await shared.map('values').get('plain')).toBe(openers);
    expect((await shared.sessions()).map(({ label }) => label)).toEqual(['onlooker']);
    await expectFree(shared, 'door');
  },
);

test(
  '1,000 waiters in 4 processes are all served, those of a session in their order',
  { timeout: 60_000 },
  async () => {
    const [directory, tasks] = [temporaryDirectory(), 250];
    const log = join(directory, 'turns');
    const shared = await look(directory);
    const lease = await shared.lock('counter').acquire();
    const programs = Array.from({ length: 4 }, () => start('crowd', { directory, log, tasks }));
    await Promise.all(programs.map((program) => program.hears('waits')));
    await untilWaiting(shared, 'counter', 4);

    const begun = nowMs();
    await lease.release();
    expect(await Promise.all(programs.map((program) => program.ends()))).toEqual(
      programs.map(() => ({ code: 0, signal: null })),
    );
    console.log(`1,000 waiters were served, and their processes gone, in ${Math.round(nowMs() - begun)} ms`);

    const turns = readFileSync(log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' '));
    const fences = turns.map(([fence]) => Number(fence));
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
    const places = new Map<string, number[]>();
    for (const [, session = '', place] of turns) places.set(session, [...(places.get(session) ?? []), Number(place)]);
    const inOrder = Array.from({ length: tasks }, (_, place) => place);
    expect([...places.values()]).toEqual([inOrder, inOrder, inOrder, inOrder]);
    await expectFree(shared, 'counter');
  },
);

test(`${locks} locks held by one session at once are all kept, then all released`, { timeout: 240_000 }, async () => {
  const directory = temporaryDirectory();
  const hoarder = start('hoarder', { directory, locks, ttl: 45_000 });
  const done = await hoarder.hears('done', 220_000);
  const { acquireMs, releaseMs, memory } = done as unknown as Record<string, number>;
  console.log(
    `${locks} locks: acquired in ${Math.round(acquireMs!)} ms, released in ${Math.round(releaseMs!)} ms, ` +
      `${Math.round(memory! / 2 ** 20)} MiB`,
  );
  expect(done).toMatchObject({ held: locks, left: 0 });
  expect(memory).toBeLessThan(2 ** 30);
  expect(await hoarder.ends()).toEqual({ code: 0, signal: null });
});
