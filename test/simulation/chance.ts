/** A number in [0, 1) for a place, always the same for one seed: whatever else is drawn, added or left out. */
export type Chance = (place: string) => number;

/** FNV-1a over the place, mixed as MurmurHash3 ends. */
export function chanceOf(seed: number): Chance {
  return (place) => {
    let hash = (2_166_136_261 ^ seed) | 0;
    for (let i = 0; i < place.length; i++) hash = Math.imul(hash ^ place.charCodeAt(i), 16_777_619);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Draws one thing after the other. */
export interface Dice {
  /** In [from, to). */
  between(from: number, to: number): number;
  /** A whole number, both ends included. */
  whole(from: number, to: number): number;
  pick<T>(things: readonly T[]): T;
  /** True with this probability. */
  isLucky(probability: number): boolean;
}

export function diceOf(chance: Chance, place: string): Dice {
  let drawn = 0;
  const next = (): number => chance(`${place} ${drawn++}`);
  const whole = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    between: (from, to) => from + next() * (to - from),
    whole,
    pick: (things) => things[whole(0, things.length - 1)]!,
    isLucky: (probability) => next() < probability,
  };
}
