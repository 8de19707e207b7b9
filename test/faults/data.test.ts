import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isLockstepError, type Lockstep, open } from '../../src/index.ts';
import { until } from '../contract/sessions.ts';
import { startProxy } from '../redis/proxy.ts';
import { hasRedisServer, type RedisServer, startRedisServer } from '../redis/server.ts';
import { type Chance, chance, sizeOf } from './chance.ts';
import { leaveNobodyBehind, type Program, start, temporaryDirectory } from './processes.ts';
import type { BankReport, BankWork } from './programs/bank.ts';

leaveNobodyBehind();

const kills = sizeOf('DATA_KILLS', 4);
const restarts = sizeOf('RESTARTS', 2);
const accounts = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const tasks = 4;

/** Where processes meet: a directory, and a server that writes each step to its disk before it answers. */
const places: Record<string, () => Promise<string>> = {
  'a directory': () => Promise.resolve(temporaryDirectory()),
  ...(hasRedisServer ? { 'a Redis server': async () => (await durableServer()).address } : {}),
};

async function durableServer(): Promise<RedisServer> {
  const server = await startRedisServer(['--appendonly', 'yes', '--appendfsync', 'always']);
  onTestFinished(() => server.remove());
  return server;
}

async function opened(where: string): Promise<Lockstep> {
  const shared = await open(where, { label: 'test', onWarning: () => {} });
  onTestFinished(() => shared.close());
  return shared;
}

/** Kills one after the other, each at some moment, and starts others in their place: who lives in the end. */
async function killOften(begin: () => Promise<Program>, { between, pick }: Chance): Promise<Set<Program>> {
  const alive = new Set(await Promise.all([begin(), begin(), begin()]));
  for (let i = 0; i < kills; i++) {
    await sleep(between(20, 150));
    const victim = pick([...alive]);
    victim.signal('SIGKILL');
    alive.delete(victim);
    alive.add(await begin());
  }
  return alive;
}

async function finish(programs: Iterable<Program>): Promise<void> {
  for (const program of programs) program.tell({ what: 'stop' });
  for (const program of programs) expect(await program.ends()).toEqual({ code: 0, signal: null });
}

/** What must be so whoever was killed: each transfer is there as a whole, or not at all. */
async function expectWhole(shared: Lockstep): Promise<{ moves: number }> {
  const balances = await shared.map<number>('accounts').getAll(accounts);
  expect(sumOf(balances.values())).toBe(accounts.length * 100);
  const moves = await shared.counter('moves').get();
  const log: number[] = [];
  for await (const amount of shared.list<number>('log')) log.push(amount);
  expect(log.length).toBe(moves);
  const moved = await shared.sortedSet('moved').range();
  expect(sumOf(moved.map(([, amount]) => amount))).toBe(sumOf(log));
  return { moves };
}

function sumOf(numbers: Iterable<number>): number {
  return [...numbers].reduce((sum, number) => sum + number, 0);
}

describe.each(Object.entries(places))('in %s', (_, place) => {
  test(
    `sums are conserved while ${kills} processes that transfer are killed`,
    { timeout: 60_000 + kills * 3_000 },
    async () => {
      const random = chance();
      const where = await place();
      const shared = await opened(where);
      await shared.map<number>('accounts').setAll(accounts.map((name) => [name, 100]));
      const work: BankWork = { where, accounts, tasks };
      const alive = await killOften(async () => {
        const program = start('bank', work);
        await program.hears('ready');
        return program;
      }, random);
      await finish(alive);
      const { moves } = await expectWhole(shared);
      expect(moves).toBeGreaterThan(kills);
      // Who was killed may have counted more than anybody heard of.
      const reports = await Promise.all(
        [...alive].map(async (program) => (await program.hears('report')) as unknown as BankReport),
      );
      expect(moves).toBeGreaterThanOrEqual(sumOf(reports.map((report) => report.moves)));
    },
  );

  test(
    `no element of a list is taken twice, and only those that the dead had are gone, while ${kills} takers are killed`,
    { timeout: 60_000 + kills * 3_000 },
    async () => {
      const random = chance();
      const where = await place();
      const log = join(temporaryDirectory(), 'taken');
      writeFileSync(log, '');
      const shared = await opened(where);
      const list = shared.list<number>('work');
      let pushed = 0;
      let pushing = true;
      const pusher = (async () => {
        for (; pushing; await sleep(1)) await list.pushAll([++pushed, ++pushed, ++pushed]);
      })();
      const alive = await killOften(async () => {
        const program = start('taker', { where, log, tasks });
        await program.hears('ready');
        return program;
      }, random);
      pushing = false;
      await pusher;
      await finish(alive);
      const left: number[] = [];
      // What a dead taker had been handed comes back a second after that at the latest, when somebody asks.
      for (let over = false; !over;) {
        await list.take({ timeout: '2500ms' }).then(
          (element) => left.push(element),
          (error: unknown) => (over = isLockstepError(error, 'TIMEOUT')),
        );
      }
      const taken = [...readFileSync(log, 'utf8').trimEnd().split('\n').map(Number), ...left];
      expect(new Set(taken).size, 'taken twice').toBe(taken.length);
      // A taker whose element was its own died before it wrote that down: each task of the dead had one at most.
      console.log(`of ${pushed} elements ${pushed - taken.length} went with ${kills} killed takers of ${tasks} tasks`);
      expect(pushed - taken.length).toBeLessThanOrEqual(kills * tasks);
      expect(taken.length).toBeGreaterThan(kills * tasks);
    },
  );

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'transactions go on behind a holder of the commit lock that got %s',
    async (signal) => {
      const where = await place();
      const shared = [await opened(where), await opened(where)];
      const holder = start('overtaken', { where });
      await holder.hears('holds');
      const before = (await shared[0]!.map<number>('hot').get('x'))!;
      const add = (one: Lockstep): Promise<void> =>
        one.transaction(async (tx) => {
          const map = tx.map<number>('hot');
          await map.set('x', ((await map.get('x')) ?? 0) + 1);
        });
      const behind = [...shared, ...shared].map(add);
      holder.signal(signal);
      await Promise.all([...behind, ...shared.map(add)]);
      expect(await shared[0]!.map('hot').get('x')).toBe(before + 6);
      holder.signal('SIGKILL');
    },
  );
});

test.skipIf(!hasRedisServer)(
  `sums are conserved and counters exact while a server is killed ${restarts} times and one connection in fifty is cut`,
  { timeout: 60_000 + restarts * 10_000 },
  async () => {
    const { between } = chance();
    const server = await durableServer();
    const proxy = await startProxy(server.socket);
    onTestFinished(() => proxy.close());
    const shared = await opened(server.address);
    await shared.map<number>('accounts').setAll(accounts.map((name) => [name, 100]));
    const work: BankWork = { where: proxy.address, accounts, tasks };
    const programs = [start('bank', work), start('bank', work), start('bank', work)];
    for (const program of programs) await program.hears('ready'); // who is cut off while it opens has not opened
    let cuts = 0;
    proxy.cutAfter = (request) => {
      const isCut = request.includes('EVAL') && between(0, 1) < 0.02;
      if (isCut) cuts += 1;
      return isCut;
    };
    for (let i = 0; i < restarts; i++) {
      await sleep(between(200, 700));
      await server.stop();
      await sleep(between(0, 300));
      await server.start();
    }
    await until('some were cut', () => cuts >= 10, 30_000);
    proxy.cutAfter = () => false;
    await finish(programs);
    const reports = await Promise.all(
      programs.map(async (program) => (await program.hears('report')) as unknown as BankReport),
    );
    const known = sumOf(reports.map((report) => report.moves));
    const adds = sumOf(reports.map((report) => report.adds));
    const unknown = sumOf(reports.map((report) => report.unknownAdds));
    const { moves } = await expectWhole(shared);
    expect(moves).toBeGreaterThanOrEqual(known);
    expect(moves).toBeLessThanOrEqual(known + sumOf(reports.map((report) => report.unknownMoves)));
    const counted = await shared.counter('adds').get();
    console.log(`${moves} transfers; ${counted} adds: ${adds} acknowledged, ${unknown} AMBIGUOUS`);
    expect(counted).toBeGreaterThanOrEqual(adds);
    expect(counted).toBeLessThanOrEqual(adds + unknown);
  },
);
