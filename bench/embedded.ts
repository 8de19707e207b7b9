/**
 * The embedded engine below locks: pairs of the operations `lock.acquire` and `lock.release`, each task on a lock of its
 * own, beside the same rows written by bare statements of SQLite.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { nowMs } from './rig/clock.ts';
import type { Paired, Way } from './rig/pairs.ts';
import { bench } from './rig/report.ts';
import { jain, spread } from './rig/statistics.ts';
import { cell } from './rig/table.ts';

const rounds = 3;
const windowMs = 1_000;

interface Case {
  readonly name: string;
  readonly way: Way;
  readonly processes: number;
  readonly tasks: number;
  readonly page?: number;
}

const cases: readonly Case[] = [
  { name: 'bare SQLite', way: 'sqlite', processes: 1, tasks: 1 },
  { name: 'lockstep', way: 'lockstep', processes: 1, tasks: 1 },
  { name: 'lockstep, 32 tasks', way: 'lockstep', processes: 1, tasks: 32 },
  { name: 'lockstep, 2 processes', way: 'lockstep', processes: 2, tasks: 1 },
  { name: 'lockstep, 4 processes', way: 'lockstep', processes: 4, tasks: 1 },
  { name: 'lockstep, 4 processes × 8 tasks', way: 'lockstep', processes: 4, tasks: 8 },
  { name: 'bare SQLite, pages of 512 bytes', way: 'sqlite', processes: 1, tasks: 1, page: 512 },
  { name: 'bare SQLite, pages of 2048 bytes', way: 'sqlite', processes: 1, tasks: 1, page: 2048 },
  { name: 'bare SQLite, pages of 4096 bytes', way: 'sqlite', processes: 1, tasks: 1, page: 4096 },
];

await bench('embedded', 180_000, async (stage) => {
  const found = new Map<Case, Paired[][]>(cases.map((one) => [one, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [i, one] of cases.entries()) {
      const directory = join(stage.directory, `${round}-${i}`);
      mkdirSync(directory);
      found.get(one)!.push(await run(one, directory));
    }
  }
  const rate = (all: readonly Paired[]): number => sum(all, 'pairs') / (windowMs / 1_000);
  stage.show({
    title: 'acquire and release, as operations, each awaited',
    head: ['', 'pairs/s', 'CPU µs a pair', 'worst ms', 'worst stall ms', 'Jain processes'],
    lines: [...found].map(([{ name }, all]) => [
      name,
      cell(spread(all.map(rate))),
      cell(spread(all.map((one) => sum(one, 'cpuUs') / sum(one, 'pairs')))),
      cell(spread(all.map((one) => Math.max(...one.map(({ worstMs }) => worstMs))))),
      cell(spread(all.map((one) => Math.max(...one.map(({ stallMs }) => stallMs))))),
      cell(spread(all.map((one) => jain(one.map(({ pairs }) => pairs))))),
    ]),
    findings: [],
    figures: [...found],
  });
});

async function run({ way, processes, tasks, page = 1_024 }: Case, directory: string): Promise<Paired[]> {
  const crew = Array.from({ length: processes }, (_, number) => {
    const plan = [way, directory, `lock${number}`, tasks, page].map(String);
    const child = spawn(process.execPath, [join(import.meta.dirname, 'rig', 'pairs.ts'), ...plan], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  });
  await Promise.all(crew.map(({ lines }) => lines.next()));
  const startMs = nowMs() + 50;
  for (const { child } of crew) child.stdin.write(`${startMs} ${startMs + windowMs}`);
  const said = await Promise.all(crew.map(({ lines }) => lines.next()));
  return said.map(({ value }) => JSON.parse(value!) as Paired);
}

function sum(all: readonly Paired[], what: 'pairs' | 'cpuUs'): number {
  return all.reduce((total, one) => total + one[what], 0);
}
