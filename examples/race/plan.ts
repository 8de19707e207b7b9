import type { Scenario } from './scenario.ts';
import { counter } from './scenarios/counter.ts';
import { seats } from './scenarios/seats.ts';
import { transfer } from './scenarios/transfer.ts';

export const processes = 4;
/** In each process. */
export const threads = 2;
/** In each thread. */
export const tasks = 8;

/** All that the race writes is in this space. */
export const space = 'race';

export const scenarios: readonly Scenario[] = [counter, transfer, seats];
