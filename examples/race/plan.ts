import type { Scenario } from './scenario.ts';
import { counter } from './scenarios/counter.ts';
import { map } from './scenarios/map.ts';
import { seats } from './scenarios/seats.ts';
import { stats } from './scenarios/stats.ts';
import { transfer } from './scenarios/transfer.ts';
import { value } from './scenarios/value.ts';

export const processes = 4;
/** In each process. */
export const threads = 2;
/** In each thread. */
export const tasks = 8;

/** All that the race writes is in this space. */
export const space = 'race';

export const scenarios: readonly Scenario[] = [counter, value, map, stats, seats, transfer];
