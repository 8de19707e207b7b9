import { invalidArgument } from '../base/errors.ts';

export type Integer = number | bigint;

/** What a counter does with its integers: numbers and bigints by the same words. */
export interface Arithmetic<N extends Integer> {
  readonly zero: N;
  readonly one: N;
  /** The range in which values are exact. */
  readonly least: N;
  readonly most: N;
  /** For messages: what `has` asks for. */
  readonly wanted: string;
  /** Whether it is such an integer, and in that range. */
  has(value: unknown): boolean;
  sum(a: N, b: N): N;
  difference(a: N, b: N): N;
  /** What `String` made of one. */
  parse(text: string): N;
}

/** The integer that a text of the store stands for, written the one canonical way; undefined where `has` has none such. */
export function exactly<N extends Integer>(integers: Arithmetic<N>, text: string): N | undefined {
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(text)) return undefined;
  const value = integers.parse(text);
  return integers.has(value) ? value : undefined;
}

/** Throws `INVALID_ARGUMENT` for what is no boolean. */
export function arithmeticOf<N extends Integer>(bigint: unknown): Arithmetic<N> {
  if (bigint !== undefined && typeof bigint !== 'boolean') throw invalidArgument('bigint', bigint, 'true or false');
  return (bigint === true ? bigints : numbers) as Arithmetic<Integer> as unknown as Arithmetic<N>;
}

const numbers: Arithmetic<number> = {
  zero: 0,
  one: 1,
  least: -Number.MAX_SAFE_INTEGER,
  most: Number.MAX_SAFE_INTEGER,
  wanted: 'an integer of at most 2^53 - 1 in size',
  has: (value) => Number.isSafeInteger(value),
  sum: (a, b) => a + b,
  difference: (a, b) => a - b,
  parse: Number,
};

const bigints: Arithmetic<bigint> = {
  zero: 0n,
  one: 1n,
  least: -(2n ** 63n),
  most: 2n ** 63n - 1n,
  wanted: 'a bigint of 64 bits',
  has: (value) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  sum: (a, b) => a + b,
  difference: (a, b) => a - b,
  parse: BigInt,
};
