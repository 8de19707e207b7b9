import { cpuOf, type Act, type Cost, costOf } from './cost.ts';
import type { Section } from './report.ts';
import { atMost } from './rounds.ts';
import { median, spread } from './statistics.ts';
import { cell, digits } from './table.ts';
import type { Store } from './stores.ts';

/** Something of one size, and what is done to it. */
export interface Grown {
  readonly size: number;
  readonly store: Store;
  readonly acts: Readonly<Record<string, Act>>;
}

/** How what is done to something costs as it grows. */
export interface Growth {
  readonly title: string;
  readonly sizes: readonly number[];
  /** By what is done: the cost by size, a figure a round. */
  readonly costs: ReadonlyMap<string, readonly (readonly Cost[])[]>;
}

interface GrowthPlan {
  readonly rounds: number;
  /** Of each act in a round: ms. */
  readonly windowMs: number;
}

/** Enough for ratios that hold on a machine that does other things too. */
export const growthPlan: GrowthPlan = { rounds: 7, windowMs: 50 };

/** Does all that is done to each of them, in rounds in which the sizes take turns; what else the machine does meets all alike. */
export async function grow(title: string, all: readonly Grown[], plan: GrowthPlan): Promise<Growth> {
  const costs = new Map(Object.keys(all[0]!.acts).map((name) => [name, all.map((): Cost[] => [])]));
  for (const [name, bySize] of costs) {
    for (const { store, acts } of all) await costOf(store, plan.windowMs, acts[name]!); // code is compiled, caches fill
    for (let round = 0; round < plan.rounds; round++) {
      for (const [i, { store, acts }] of all.entries()) {
        bySize[i]!.push(await costOf(store, plan.windowMs, acts[name]!));
      }
    }
  }
  return { title, sizes: all.map(({ size }) => size), costs };
}

/** What the largest size may cost, as a share of that of `baseSize`, or of the smallest where there is none of that size. */
const growthMax = 1.5;
const baseSize = 10;

/** A table of it; what is in `judged` must not grow. */
export function sectionOf({ title, sizes, costs }: Growth, judged: readonly string[]): Section {
  const base = Math.max(0, sizes.indexOf(baseSize));
  const [least, most] = [sizes[base]!, sizes.at(-1)!];
  const ratios = new Map([...costs].map(([name, bySize]) => [name, ratioOf(bySize, base)]));
  return {
    title: `${title}: client + server CPU µs, and µs that it took`,
    head: ['', ...sizes.map(digits), `${digits(most)} ÷ ${digits(least)}`],
    lines: [...costs].map(([name, bySize]) => [name, ...bySize.map(columnOf), `${cell(ratios.get(name)!)} ×`]),
    findings: [...ratios]
      .filter(([name]) => judged.includes(name))
      .map(([name, ratio]) =>
        atMost(`${title}: ${name}, CPU at ${digits(most)} times that at ${digits(least)}`, ratio.median, growthMax),
      ),
    figures: [...costs],
  };
}

function columnOf(rounds: readonly Cost[]): string {
  const [client, server, wall] = [
    median(rounds.map(({ clientUs }) => clientUs)),
    median(rounds.map(({ serverUs }) => serverUs)),
    median(rounds.map(({ wallUs }) => wallUs)),
  ];
  return `${digits(client)}${server === 0 ? '' : ` + ${digits(server)}`}, ${digits(wall)}`;
}

/** Of the CPU time at the largest size to that at another, round by round. */
function ratioOf(bySize: readonly (readonly Cost[])[], base: number): ReturnType<typeof spread> {
  const [least, most] = [bySize[base]!, bySize.at(-1)!];
  return spread(most.map((cost, round) => cpuOf(cost) / cpuOf(least[round]!)));
}
