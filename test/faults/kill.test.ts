import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../contract/sessions.ts';
import { chance, sizeOf } from './chance.ts';
import { faultsOf, insideNow, longestPause, readHistory, spread, takeOvers } from './history.ts';
import { expectFree, look, totalsOf } from './onlooker.ts';
import { leaveNobodyBehind, type Program, start, temporaryDirectory } from './processes.ts';
import { nowMs } from './programs/now.ts';

leaveNobodyBehind();

/** So long that whoever waits for its end, or for its renewal at a third of it, is noticed. */
const ttl = 60_000;
/** Far less: a death was seen, not waited for. Machines differ, and stall, so the figures are printed. */
const seenMs = 15_000;

const kills = sizeOf('KILLS', 30);
const terminations = sizeOf('TERMINATIONS', 15);

test(
  `exclusion, fences and data survive ${kills} kills of holders and waiters`,
  { timeout: 60_000 + kills * 2_000 },
  async () => {
    const { seed, between, pick } = chance();
    const directory = temporaryDirectory();
    const log = join(directory, 'history');
    const alive = new Map<string, Program>();
    const died = new Map<string, number>();
    const begin = async (): Promise<void> => {
      const program = start('contender', { directory, log, tasks: 4, ttl });
      alive.set(String((await program.hears('ready'))['session']), program);
    };

    await Promise.all([begin(), begin(), begin(), begin()]);
    const successors: Promise<void>[] = [];
    for (let i = 0; i < kills; i++) {
      await sleep(between(10, 150));
      await until('three contend', () => alive.size >= 3, 30_000);
      const inside = insideNow(log);
      const victim = between(0, 2) < 1 && inside !== undefined && alive.has(inside) ? inside : pick([...alive.keys()]);
      died.set(victim, nowMs());
      alive.get(victim)!.signal('SIGKILL');
      alive.delete(victim);
      successors.push(begin());
    }
    await Promise.all(successors);
    await Promise.all([...alive.values()].map((program) => finish(program)));
    await checkHistory(directory, log, died, `${kills} kills (SEED=${seed})`);
  },
);

test(
  `exclusion, fences and data survive ${terminations} terminations of threads that hold and wait`,
  { timeout: 60_000 + terminations * 2_000 },
  async () => {
    const { seed, between, pick } = chance();
    const directory = temporaryDirectory();
    const log = join(directory, 'history');
    const alive = new Map<string, Program>();
    const died = new Map<string, number>();
    const hosts = [0, 1].map(() => start('threads', {}));
    const begin = async (host: Program): Promise<void> => {
      host.tell({ what: 'begin', contention: { directory, log, tasks: 3, ttl } });
      alive.set(String((await host.hears('ready'))['session']), host);
    };

    await Promise.all([...hosts, ...hosts].map(begin));
    const successors: Promise<void>[] = [];
    for (let i = 0; i < terminations; i++) {
      await sleep(between(10, 150));
      await until('three contend', () => alive.size >= 3, 30_000);
      const inside = insideNow(log);
      const victim = between(0, 2) < 1 && inside !== undefined && alive.has(inside) ? inside : pick([...alive.keys()]);
      const host = alive.get(victim)!;
      alive.delete(victim);
      host.tell({ what: 'terminate', session: victim });
      died.set(victim, Number((await host.hears('terminated'))['now']));
      successors.push(begin(host));
    }
    await Promise.all(successors);
    await Promise.all(hosts.map((host) => finish(host)));
    await checkHistory(directory, log, died, `${terminations} terminations (SEED=${seed})`);
  },
);

/** Whoever was not killed does not hang. */
async function finish(program: Program): Promise<void> {
  program.tell({ what: 'stop' });
  expect(await program.ends()).toEqual({ code: 0, signal: null });
}

async function checkHistory(
  directory: string,
  log: string,
  died: ReadonlyMap<string, number>,
  what: string,
): Promise<void> {
  const entries = readHistory(log);
  const waits = entries.map((entry) => entry.waitedMs);
  const after = takeOvers(entries, died);
  console.log(
    `${what}, ${entries.length} entries; the next one entered after a holder's death: ${spread(after)}; waits: ${spread(waits)}; longest pause: ${longestPause(entries)}`,
  );
  const shared = await look(directory);
  expect(faultsOf(entries, new Set(died.keys()), await totalsOf(shared))).toEqual([]);
  expect(after.length).toBeGreaterThan(0);
  expect(Math.max(...after)).toBeLessThan(seenMs);
  expect(waits.reduce((a, b) => Math.max(a, b), 0)).toBeLessThan(seenMs);
  await expectFree(shared, 'hot');
}
