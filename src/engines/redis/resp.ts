import { ReplyError } from './client.ts';

/**
 * Reads the replies of a Redis server (RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec) from the
 * pieces of a stream, however that is cut: texts, integers, arrays of them, null, and `ReplyError`.
 */
export class ReplyReader {
  readonly #replied: (reply: unknown) => void;
  readonly #broken: (reason: Error) => void;
  /** Arrays that are not complete, the outer ones first. */
  readonly #arrays: { readonly items: unknown[]; length: number }[] = [];
  /** What is not read yet, as its end is missing. */
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** So many bytes must be there before the next look at them. */
  #neededBytes = 0;

  /** `broken`: what comes is not what a Redis server says. */
  constructor(replied: (reply: unknown) => void, broken: (reason: Error) => void) {
    this.#replied = replied;
    this.#broken = broken;
  }

  /** The piece is not needed any more when this returns. */
  read(piece: Buffer): void {
    let bytes = piece;
    if (this.#keptBytes > 0) {
      this.#keep(piece);
      if (this.#keptBytes < this.#neededBytes) return;
      bytes = Buffer.concat(this.#kept);
      this.#kept = [];
      this.#keptBytes = 0;
    }
    this.#neededBytes = 0;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#readOne(bytes, at);
      if (next === -1) break;
      at = next;
    }
    if (at === bytes.length) return;
    this.#neededBytes -= at;
    this.#keep(bytes.subarray(at));
  }

  #keep(bytes: Buffer): void {
    this.#kept.push(Buffer.from(bytes));
    this.#keptBytes += bytes.length;
  }

  /** Reads a value, or the head of an array. Where the next one begins; -1 if the end is missing. */
  #readOne(bytes: Buffer, at: number): number {
    let end = at + 1;
    while (end < bytes.length && bytes[end] !== carriageReturn) end++;
    const next = end + 2;
    if (next > bytes.length) return -1;
    switch (bytes[at]!) {
      case kind.bulk:
        return this.#readBulk(bytes, integer(bytes, at + 1, end), next);
      case kind.integer:
        this.#give(integer(bytes, at + 1, end));
        return next;
      case kind.array:
        this.#open(integer(bytes, at + 1, end));
        return next;
      case kind.text:
        this.#give(bytes.toString('utf8', at + 1, end));
        return next;
      case kind.error:
        this.#give(new ReplyError(new Error(bytes.toString('utf8', at + 1, end))));
        return next;
      default:
        this.#broken(new Error('it does not speak the protocol of Redis'));
        return bytes.length;
    }
  }

  #readBulk(bytes: Buffer, length: number, from: number): number {
    if (length < 0) {
      this.#give(null);
      return from;
    }
    const next = from + length + 2;
    if (next > bytes.length) {
      this.#neededBytes = next;
      return -1;
    }
    this.#give(bytes.toString('utf8', from, from + length));
    return next;
  }

  #open(length: number): void {
    if (length > 0) this.#arrays.push({ items: [], length });
    else this.#give(length === 0 ? [] : null);
  }

  #give(value: unknown): void {
    let complete = value;
    for (let array = this.#arrays.at(-1); array !== undefined; array = this.#arrays.at(-1)) {
      array.items.push(complete);
      if (array.items.length < array.length) return;
      complete = array.items;
      this.#arrays.pop();
    }
    this.#replied(complete);
  }
}

/** By the first byte. */
const kind = { text: 0x2b, error: 0x2d, integer: 0x3a, bulk: 0x24, array: 0x2a } as const;
const carriageReturn = 0x0d;
const minus = 0x2d;

function integer(bytes: Buffer, from: number, to: number): number {
  const isNegative = bytes[from] === minus;
  let value = 0;
  for (let i = isNegative ? from + 1 : from; i < to; i++) value = value * 10 + bytes[i]! - 0x30;
  return isNegative ? -value : value;
}

/** A command as it is sent. */
export function commandText(words: readonly string[]): string {
  const text = written(words, (word) => word.length);
  // Most commands are of ASCII alone: their length is found once, not by word.
  return Buffer.byteLength(text) === text.length ? text : written(words, (word) => Buffer.byteLength(word));
}

function written(words: readonly string[], lengthOf: (word: string) => number): string {
  let text = `*${words.length}`;
  for (const word of words) text += headOf(lengthOf(word)) + word; // few pieces: each is an object until it is sent
  return `${text}\r\n`;
}

const heads: string[] = [];

/** What stands between a word and the next one, of this length. */
function headOf(length: number): string {
  if (length >= headsMax) return `\r\n$${length}\r\n`;
  return (heads[length] ??= `\r\n$${length}\r\n`);
}

const headsMax = 512;
