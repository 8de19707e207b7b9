import { onTestFailed } from 'vitest';

/** Numbers that `SEED=… npm test` gives again; a test that fails prints its seed. */
export interface Chance {
  readonly seed: number;
  /** In [from, to). */
  between(from: number, to: number): number;
  pick<T>(things: readonly T[]): T;
}

export function chance(): Chance {
  const given = process.env['SEED'];
  const seed = given === undefined ? Date.now() % 2 ** 31 : Number(given);
  onTestFailed(() => console.error(`replay with SEED=${seed}`));
  let state = seed;
  /** Mulberry32. */
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    seed,
    between: (from, to) => from + next() * (to - from),
    pick: (things) => things[Math.floor(next() * things.length)]!,
  };
}

/** A size that the long run (`scripts/faults.ts`) makes larger. */
export function sizeOf(variable: string, short: number): number {
  return Number(process.env[variable] ?? short);
}
