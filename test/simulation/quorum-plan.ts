import { type Chance, type Dice, diceOf } from './chance.ts';
import type { Fault, Scenario, Task } from './scenario.ts';

/** How many servers decide, and the longest lease that anybody takes on them: ms. */
export const servers = 3;
export const ttlMsMax = 500;

/** The same processes, with a lock that three servers keep: they break down, restart empty, and are out of reach. */
export function aboutQuorum({ seed, processes }: Scenario, chance: Chance): Scenario {
  const dice = diceOf(chance, 'quorum');
  const ttlMs = dice.pick([200, 500]);
  const faults = Array.from({ length: dice.whole(0, 9) }, () => faultOf(dice, processes));
  return {
    seed,
    about: 'quorum',
    kind: 'quorum',
    processes: processes.map((process) => ({
      ...process,
      skewMs: dice.whole(-90_000, 90_000),
      rate: dice.between(0.997, 1.003),
      tasks: Array.from({ length: dice.whole(1, 4) }, () => taskOf(dice, ttlMs)),
    })),
    faults: faults.filter((fault) => fault.what !== 'set clock' || !faults.some(({ what }) => what === 'sleep')),
  };
}

function taskOf(dice: Dice, ttlMs: number): Task {
  return {
    do: dice.isLucky(0.85) ? 'lock' : 'try',
    lock: 'a',
    startMs: dice.isLucky(0.6) ? dice.whole(0, 30) : dice.whole(0, 900),
    ttlMs,
    maxHoldMs: dice.isLucky(0.05) ? dice.whole(20, 300) : 0,
    timeoutMs: dice.isLucky(0.25) ? dice.whole(0, 300) : undefined,
    pauses: dice.whole(1, 4),
    pauseMs: dice.pick([2, 20, 150]),
    writes: false,
    keepMs: 0,
    abortMs: dice.isLucky(0.1) ? dice.whole(0, 200) : undefined,
  };
}

function faultOf(dice: Dice, processes: Scenario['processes']): Fault {
  const process = dice.pick(processes).name;
  const atMs = dice.between(0, 900);
  const forMs = dice.pick([dice.between(1, 60), dice.between(60, 700)]);
  const server = dice.whole(0, servers - 1);
  const drawn = dice.between(0, 1);
  if (drawn < 0.08) return { what: 'crash', process, atMs, seenMs: 0 };
  if (drawn < 0.2) return { what: dice.pick(['stall', 'stop', 'sleep'] as const), process, atMs, forMs };
  if (drawn < 0.25) return { what: 'set clock', process, atMs, byMs: dice.pick([-3_600_000, -200, 200, 3_600_000]) };
  if (drawn < 0.45) return { what: 'restart', process: '', server, atMs, forMs: dice.between(1, 60) };
  if (drawn < 0.6) return { what: dice.pick(['cut', 'hang'] as const), process, server, atMs, forMs };
  const by = dice.isLucky(0.8) ? ('main' as const) : ('keeper' as const);
  const fates = ['not applied', 'reply lost', 'applied later', 'applied twice', 'slow'] as const;
  return { what: 'request', process, by, server, number: dice.whole(0, 20), fate: dice.pick(fates) };
}
