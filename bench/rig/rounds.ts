import type { LockerName, Places } from './lockers.ts';
import { nowMs } from './clock.ts';
import type { Worker } from './crew.ts';
import type { Hammered, Plan } from './hammering.ts';
import type { Finding } from './report.ts';
import { jain, percentile, spread, type Spread } from './statistics.ts';

export interface Round extends Pick<Plan, 'tasks' | 'ownLocks' | 'sectionMs'> {
  windowMs: number;
}

/** What was measured of one library, a figure a round. */
export type Measured = Record<Figure, number[]>;
export type Figure =
  | 'perSecond'
  | 'changesPerSecond'
  | 'p50Ms'
  | 'p99Ms'
  | 'maxMs'
  | 'jainTasks'
  | 'jainProcesses'
  | 'sentEach'
  | 'cpuUsEach'
  | 'stallMs';

/** At least so much is not counted, and two rounds: the code of all is compiled in them. */
const warmMs = 600;

/** Lets each library do the same, one after the other, several times, in turned order. */
export async function rounds(
  count: number,
  name: string,
  crew: readonly Worker[],
  places: Places,
  round: Round,
  of: readonly LockerName[],
): Promise<Partial<Record<LockerName, Measured>>> {
  const found: Partial<Record<LockerName, Measured>> = {};
  const warmRounds = Math.max(2, Math.ceil(warmMs / round.windowMs));
  for (let i = -warmRounds; i < count; i++) {
    for (const locker of turned(of, i)) {
      const startMs = nowMs() + 20;
      const fromMs = startMs + 100;
      const plan: Plan = { ...round, lock: `${name}-${i}`, startMs, fromMs, untilMs: fromMs + round.windowMs };
      const all = await Promise.all(crew.map((worker) => worker.ask('hammer', locker, places, plan)));
      if (i < 0) continue;
      const measured = (found[locker] ??= {} as Measured);
      for (const [figure, value] of Object.entries(figures(all, round)) as [Figure, number][]) {
        (measured[figure] ??= []).push(value);
      }
    }
  }
  return found;
}

/** In an order, then the other way around, then beginning with the next one: so each comes early as often as late. */
function turned<T>(of: readonly T[], round: number): T[] {
  const from = Math.floor(Math.abs(round) / 2) % of.length;
  const order = [...of.slice(from), ...of.slice(0, from)];
  return round % 2 === 0 ? order : order.reverse();
}

/** What all processes of a round measured, as one. */
function figures(all: readonly Hammered[], round: Round): Record<Figure, number> {
  const byProcess = all.map((one) => one.inMs.length);
  const byTask = all.flatMap((one) =>
    Array.from({ length: round.tasks }, (_, task) => one.task.filter((t) => t === task).length),
  );
  const acquisitions = byProcess.reduce((a, b) => a + b, 0);
  const waits = Float64Array.from(
    all.flatMap((one) => [...one.inMs.map((inMs, i) => inMs - one.askedMs[i]!), ...one.stillWaitingMs]),
  ).sort();
  const seconds = round.windowMs / 1_000;
  return {
    perSecond: acquisitions / seconds,
    changesPerSecond: round.ownLocks ? 0 : changesOf(all) / seconds,
    p50Ms: percentile(waits, 0.5),
    p99Ms: percentile(waits, 0.99),
    maxMs: waits.at(-1) ?? round.windowMs,
    jainTasks: jain(byTask),
    jainProcesses: jain(byProcess),
    sentEach: all.reduce((sum, one) => sum + one.sent, 0) / acquisitions,
    cpuUsEach: all.reduce((sum, one) => sum + one.cpuUs, 0) / acquisitions,
    stallMs: Math.max(...all.map((one) => one.stallMs)),
  };
}

/** How often the lock went to another process. Throws if two were in the section at once. */
function changesOf(all: readonly Hammered[]): number {
  const entries = all
    .flatMap((one, owner) => Array.from(one.inMs, (inMs, i) => ({ owner, inMs, outMs: one.outMs[i]! })))
    .sort((a, b) => a.inMs - b.inMs);
  let changes = 0;
  for (let i = 1; i < entries.length; i++) {
    const [before, entry] = [entries[i - 1]!, entries[i]!];
    if (entry.owner !== before.owner) changes += 1;
    // Clocks of two processes agree to some microseconds.
    if (entry.inMs < before.outMs - 0.02)
      throw new Error(`two were in the section at once, for ${before.outMs - entry.inMs} ms`);
  }
  return changes;
}

export type All = Partial<Record<LockerName, Measured>>;

/** One's own figure as a multiple of a peer's, round by round. */
export function times(all: All, own: LockerName, peer: LockerName, figure: Figure): Spread {
  const theirs = all[peer]![figure];
  return spread(all[own]![figure].map((value, i) => value / theirs[i]!));
}

export function atLeast(what: string, value: number, target: number): Finding {
  return { what, value, target: `≥ ${target}`, met: value >= target };
}

export function atMost(what: string, value: number, target: number): Finding {
  return { what, value, target: `≤ ${target}`, met: value <= target };
}
