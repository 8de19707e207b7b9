import { createHash } from 'node:crypto';
import type { Tx } from '../operations/tx.ts';

/** The verbs of `Tx` for text and numbers, for the engines that run operations in the process. */
export const textVerbs: Pick<
  Tx,
  | 'text'
  | 'texts'
  | 'integer'
  | 'within'
  | 'decimal'
  | 'number'
  | 'part'
  | 'firstPart'
  | 'rest'
  | 'startsWith'
  | 'isSmaller'
  | 'sha1hex'
> = {
  text: integerText,
  texts: (from, count) => Array.from({ length: count }, (_, i) => integerText(from + i)),
  integer(text) {
    const value = canonical.test(text) ? Number(text) : Number.NaN;
    return Number.isSafeInteger(value) ? value : undefined;
  },
  within(text, from, to) {
    return canonical.test(text) && isAtMost(from, text) && isAtMost(text, to);
  },
  decimal,
  number: (text) => Number(text === 'inf' || text === '-inf' ? text.replace('inf', 'Infinity') : text),
  part(text, index) {
    const from = startOf(text, index);
    const end = text.indexOf(':', from);
    return end === -1 ? text.slice(from) : text.slice(from, end);
  },
  firstPart(text) {
    const end = text.indexOf(':');
    return end === -1 ? text : text.slice(0, end);
  },
  rest: (text, index) => text.slice(startOf(text, index)),
  startsWith: (text, prefix) => text.startsWith(prefix),
  isSmaller: (text, digits) => text.length === digits.length && text < digits,
  sha1hex: (text) => createHash('sha1').update(text).digest('hex'),
};

/** By halves: V8 takes several times as long for an integer that is not a small one. */
function integerText(integer: number): string {
  if (integer < 1e8 || integer > Number.MAX_SAFE_INTEGER) return String(integer);
  const high = Math.floor(integer / 1e8);
  return String(high) + String(integer - high * 1e8 + 1e8).slice(1);
}

/** Where part `index` begins; the end of the text where it has fewer parts. */
function startOf(text: string, index: number): number {
  let from = 0;
  for (let i = 0; i < index; i++) {
    from = text.indexOf(':', from) + 1;
    if (from === 0) return text.length;
  }
  return from;
}

/** Digits that leave no doubt whether the rest of a number is exactly half of the last of its first 17. */
const surelyExact = 40;

/** `%.17g` of C, which rounds what lies in the middle to the even digit; JavaScript rounds it up. */
function decimal(number: number): string {
  if (Number.isSafeInteger(number)) return Object.is(number, -0) ? '-0' : String(number);
  if (!Number.isFinite(number)) return Number.isNaN(number) ? 'nan' : number > 0 ? 'inf' : '-inf';
  const [rounded, exponent] = number.toExponential(16).split('e') as [string, string];
  const mantissa = /^(-?\d\.\d{15}[02468])50*e/.exec(number.toExponential(surelyExact))?.[1] ?? rounded;
  const power = Number(exponent);
  if (power < -4 || power >= 17) {
    return `${withoutZeros(mantissa)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  const sign = number < 0 ? '-' : '';
  const digits = mantissa.replace('-', '').replace('.', '');
  if (power < 0) return withoutZeros(`${sign}0.${'0'.repeat(-1 - power)}${digits}`);
  return withoutZeros(`${sign}${digits.slice(0, power + 1)}.${digits.slice(power + 1)}`);
}

function withoutZeros(text: string): string {
  return text.replace(/\.?0*$/, '');
}

const canonical = /^(?:0|-?[1-9]\d*)$/;

/** a <= b, for integers of any size, without making numbers of them. */
function isAtMost(a: string, b: string): boolean {
  const negative = a.startsWith('-');
  if (negative !== b.startsWith('-')) return negative;
  if (a.length !== b.length) return a.length < b.length !== negative;
  return negative ? a >= b : a <= b;
}
