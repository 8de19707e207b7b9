/**
 * Locks on one machine without a server: lockstep on a directory, beside proper-lockfile, which needs no server either,
 * and redis-semaphore on a redis-server of this machine.
 *
 * Rounds are interleaved, so that what else the machine does meets all alike: read the ratios.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { lockers, lockstepAt, type LockerName, type Places, keeping, oneProcessPeer, unixPeer } from './rig/lockers.ts';
import { startCrew, type Worker } from './rig/crew.ts';
import { holders } from './rig/holders.ts';
import { startRedis } from './rig/redis.ts';
import { bench, type Finding, type Section } from './rig/report.ts';
import { type All, atLeast, atMost, type Figure, type Measured, rounds, times } from './rig/rounds.ts';
import { percentile, spread } from './rig/statistics.ts';
import { cell, digits } from './rig/table.ts';

const processes = 4;
const tasks = 8;
/** Holders have run for so long before they are killed. */
const holdersWarmMs = 2_000;
const alsoAlone: readonly LockerName[] = [keeping, oneProcessPeer, ...lockers, unixPeer];

await bench('locks-embedded', 200_000, async (stage) => {
  const redis = await startRedis(stage.directory);
  stage.atEnd(() => redis.stop());
  stage.setUp['redis-server'] = `${redis.version}, loopback as new Redis() connects, nothing on disk`;
  const places: Places = { directory: stage.directory, redisPath: redis.path, redisPort: redis.port };
  const crew = startCrew(processes);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));
  await Promise.all(crew.map((worker) => worker.ask('open', alsoAlone, places)));

  const alone = crew.slice(0, 1);
  const one = { tasks: 1, ownLocks: true, sectionMs: 0, windowMs: 250 };
  if (stage.wants('sequence')) {
    const sequence = await rounds(8, 'sequence', alone, places, one, alsoAlone);
    stage.show(uncontended('one task takes and releases one lock, again and again', sequence, 'one task'));
  }
  if (stage.wants('sixteen')) {
    const sixteen = await rounds(8, 'sixteen', alone, places, { ...one, tasks: 16 }, alsoAlone);
    stage.show(uncontended('16 tasks of one process, each on a lock of its own', sixteen, '16 tasks'));
  }

  const crowd = { tasks, ownLocks: false, sectionMs: 0, windowMs: 800 };
  const title = `${processes} processes × ${tasks} tasks on one lock`;
  if (stage.wants('crowd')) {
    stage.show(contended(`${title}, empty section`, await rounds(5, 'crowd', crew, places, crowd, lockers), true));
  }
  if (stage.wants('working')) {
    const working = await rounds(3, 'working', crew, places, { ...crowd, sectionMs: 2, windowMs: 1_200 }, lockers);
    stage.show(contended(`${title}, section of 2 ms`, working, false));
  }

  if (stage.wants('stalls')) {
    const same = await rounds(3, 'hammered', crew, places, crowd, ['lockstep']);
    const many = await rounds(3, 'hammering', crew, places, { ...crowd, ownLocks: true }, ['lockstep', 'no lock']);
    stage.show(stalls(same, many));
  }
  if (stage.wants('kills')) stage.show(await kills(crew[0]!, places));
});

function uncontended(title: string, all: All, who: string): Section {
  const targets: Partial<Record<LockerName, number>> = { 'proper-lockfile': 4, 'redis-semaphore': 3 };
  const lines = alsoAlone.map((name) => {
    const { perSecond, sentEach, cpuUsEach, p99Ms } = all[name]!;
    const ratio = name.startsWith('lockstep') ? '' : `${cell(times(all, 'lockstep', name, 'perSecond'))} ×`;
    return [
      name,
      cell(spread(perSecond)),
      cell(spread(p99Ms.map((ms) => ms * 1_000))),
      cell(spread(sentEach)),
      cell(spread(cpuUsEach)),
      ratio,
    ];
  });
  const findings = lockers
    .filter((name) => name !== 'lockstep')
    .map((name): Finding =>
      atLeast(
        `${who}: acquire + release, times ${name}`,
        times(all, 'lockstep', name, 'perSecond').median,
        targets[name]!,
      ),
    );
  return {
    title: `Uncontended: ${title}`,
    head: ['', 'pairs/s', 'acquire p99 µs', 'sent each', 'client CPU µs', 'lockstep is'],
    lines,
    findings,
    figures: all,
  };
}

function contended(title: string, all: All, judged: boolean): Section {
  const lines = lockers.map((name) => {
    const of = all[name]!;
    const ratio =
      name === 'lockstep'
        ? ''
        : `${cell(times(all, 'lockstep', name, 'perSecond'))} ×, p99 ${digits(1 / times(all, 'lockstep', name, 'p99Ms').median)} × shorter`;
    const shown: Figure[] = [
      'perSecond',
      'changesPerSecond',
      'p50Ms',
      'p99Ms',
      'maxMs',
      'jainTasks',
      'jainProcesses',
      'sentEach',
      'stallMs',
    ];
    return [name, ...shown.map((figure) => cell(spread(of[figure]))), ratio];
  });
  const own = all.lockstep!;
  const findings: Finding[] = judged
    ? [
        ...(['proper-lockfile', 'redis-semaphore'] as const).flatMap((name) => [
          atLeast(`acquisitions/s, times ${name}`, times(all, 'lockstep', name, 'perSecond').median, 5),
          atMost(`p99 wait, part of ${name}'s`, times(all, 'lockstep', name, 'p99Ms').median, 0.2),
        ]),
        atLeast('Jain index over tasks', spread(own.jainTasks).median, 0.95),
        atLeast('Jain index over processes', spread(own.jainProcesses).median, 0.95),
      ]
    : [];
  const head = [
    '',
    'acquisitions/s',
    'owner changes/s',
    'p50 ms',
    'p99 ms',
    'max ms',
    'Jain tasks',
    'Jain processes',
    'sent each',
    'stall ms',
    'lockstep is',
  ];
  return { title, head, lines, findings, figures: all };
}

function stalls(oneLock: All, ownLocks: All): Section {
  const cases: [string, Measured][] = [
    [`${processes} × ${tasks} tasks on one lock`, oneLock.lockstep!],
    [`${processes} × ${tasks} tasks, each on a lock of its own`, ownLocks.lockstep!],
  ];
  return {
    title: 'The longest that an event loop of lockstep stood still while 4 processes hammer the directory',
    head: ['', 'acquisitions/s', 'worst stall ms'],
    lines: [...cases, ['the same processes without any lock', ownLocks['no lock']!] as const].map(([name, of]) => [
      name,
      cell(spread(of.perSecond)),
      cell(spread(of.stallMs)),
    ]),
    findings: cases.map(([name, of]) => atMost(`worst stall ms, ${name}`, Math.max(...of.stallMs), 30)),
    figures: { ownLocks, oneLock },
  };
}

/** Holders are killed one after the other; a process that waits for all their locks says when it had each. */
async function kills(waiter: Worker, places: Places): Promise<Section> {
  const start = holders(places.directory);
  const delays: number[] = [];
  const exits: number[] = [];
  for (let batch = 0; batch < 10; batch++) {
    const locks = Array.from({ length: 10 }, (_, i) => `kill-${batch}-${i}`);
    const held = await Promise.all(locks.map((lock) => start(lockstepAt(places), lock)));
    try {
      const waits = locks.map((lock) => waiter.ask('enter', 'lockstep', places, lock));
      await Promise.all(locks.map((lock) => waiter.ask('waitedFor', 'lockstep', places, lock)));
      await sleep(holdersWarmMs); // ten processes that begin keep two cores busy, and those are what a death waits for
      for (const [i, holder] of held.entries()) {
        await sleep(5 + Math.random() * 10);
        const killedMs = holder.kill();
        delays.push((await waits[i]!) - killedMs);
        exits.push((await holder.exited) - killedMs);
      }
      await Promise.all(locks.map((lock) => waiter.ask('leave', lock)));
    } finally {
      for (const holder of held) holder.kill();
    }
  }
  const line = (name: string, ms: readonly number[]): string[] => {
    const sorted = ms.toSorted((a, b) => a - b);
    return [name, ...[0.5, 0.99, 1].map((share) => digits(percentile(sorted, share)))];
  };
  const peer = ['10 s: the lease runs out', '', ''];
  return {
    title: `A holder is killed with SIGKILL: until its waiter in another process runs (${delays.length} kills)`,
    head: ['', 'p50 ms', 'p99 ms', 'max ms'],
    lines: [
      line('lockstep', delays),
      line("the same process's `exit` event at its parent", exits),
      ['proper-lockfile', ...peer],
      ['redis-semaphore', ...peer],
    ],
    findings: [
      atMost(
        'killed holder, p99 ms',
        percentile(
          delays.toSorted((a, b) => a - b),
          0.99,
        ),
        20,
      ),
    ],
    figures: { delaysMs: delays, exitsMs: exits },
  };
}
