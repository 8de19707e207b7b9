/**
 * Transactions over cells: entries of maps, values, counters, and owners of locks. What operations/transaction.ts does, in
 * its own keys and records, for those that need nothing else, as most do: at a fraction of the price.
 *
 * - All cells of a step are read at once, and each once; what one request changes is what the next one finds; entries of a
 *   map are written together, the others as they come.
 * - Entries with ends, and what somebody watches, are not for here: such a step is refused as a whole, before any write.
 * - A cell of a wrong type fails the first read of it, also before any write.
 */
import { isDone } from './transaction.ts';
import type { BatchOperation, Tx } from './tx.ts';

/** A cell's text; false where there is none. */
type Text = string | false;

interface Cells {
  readonly now: Text[];
  /**
   * Of each thing three numbers: the place of its key in `keys`; the first cell behind its own; and how far behind its cells the
   * fields stand in `args`, 0 where it is no map.
   */
  readonly things: readonly number[];
  /** Of each thing the entries that are to be written: fields and texts. */
  readonly entries: string[][];
  /** How far the fields stand behind the cells, where a map is the only thing; else 0. */
  readonly alone: number;
  /** Where in `args` the next request begins; the first cell that none before it was about; 1 if one was refused. */
  readonly next: number[];
}

/**
 * What came of each request, as one text: the id, then `:ok`, `:conflict`, or `:turn` where the commit lock is in the way. Then,
 * if one was refused, what all cells hold now: a text, or 0 for none; else, if `?` follows the requests, what those hold from the
 * one on whose number stands behind it. `other` where it is not for here.
 *
 * keys: commits, lock, then of each thing its key and those that must not be. args: the field in commits, the id ('' for none), how
 * many things; of each thing `hash`, how many fields, these fields, or `value`, or `string`; then the requests, each ended by `;`.
 * Cells are numbered in this order, from 0. Each token of a request is about the first one that none before it was about, as most are;
 * or, behind `@` and a number, about that one. A token is `=` text (it is that), `0` (it is absent), `~` text text (it is that, and
 * becomes that), `+` text (it is absent, and becomes that), `!` text (it becomes that), `-` (it is deleted), `#` integer (it becomes
 * more by that).
 */
export const commit: BatchOperation<readonly (string | number)[]> = {
  name: 'cells.commit',
  batch: true,
  step(tx, keys, args) {
    const known = tx.hget(keys[0]!, args[0]!) ?? '';
    if (isDone(tx, known, args[1]!)) return ['done', known];
    const isLocked = tx.exists(keys[1]!);
    const cells = load(tx, keys, args, 2);
    if (cells.next[0]! === 0) return ['other'];
    const outcomes = args[1]! + carryOut(tx, keys, args, cells, isLocked);
    for (let thing = 0; thing < cells.entries.length; thing++) writeEntries(tx, keys, cells, thing);
    if (args[1]! !== '') tx.hset(keys[0]!, args[0]!, outcomes);
    return replyOf(tx, args, cells, outcomes);
  },
};

/** What all cells hold: keys and args as of `commit`, of the things alone, and so is the reply. */
export const look: BatchOperation<readonly (string | number)[]> = {
  name: 'cells.look',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const cells = load(tx, keys, args, 0);
    if (cells.next[0]! === 0) return ['other'];
    return shownFrom(0, cells, '');
  },
};

/** Does each request, or refuses it: what came of them. */
function carryOut(tx: Tx, keys: readonly string[], args: readonly string[], cells: Cells, isLocked: boolean): string {
  const next = cells.next;
  let outcomes = '';
  for (let at = next[0]!; at < args.length && args[at]! !== '?'; at = next[0]!) {
    const cell = next[1]!;
    let outcome = checked(tx, args, cells);
    if (isLocked && outcome === ':ok' && isKept(tx, keys, args, at, cell, cells)) outcome = ':turn';
    if (outcome === ':ok') change(tx, keys, args, at, cell, cells);
    else next[2] = 1;
    outcomes = outcomes + outcome;
  }
  return outcomes;
}

function replyOf(tx: Tx, args: readonly string[], cells: Cells, outcomes: string): readonly (string | number)[] {
  const at = cells.next[0]!;
  if (cells.next[2]! === 1) return shownFrom(0, cells, outcomes);
  if (at < args.length) return shownFrom(tx.number(args[at + 1]!), cells, outcomes);
  return ['now', outcomes];
}

/** What the cells hold from the one with the number `first` on. */
function shownFrom(first: number, cells: Cells, outcomes: string): readonly (string | number)[] {
  const reply: (string | number)[] = ['now', outcomes];
  const now = cells.now;
  const length = now.length;
  for (let cell = first; cell < length; cell++) {
    const text = now[cell]!;
    reply.push(text === false ? 0 : text);
  }
  return reply;
}

/** The cells before all requests, which begin at 0 if it is not for here. `from`: where the things begin, in keys and args. */
function load(tx: Tx, keys: readonly string[], args: readonly string[], from: number): Cells {
  const things: number[] = [];
  const entries: string[][] = [];
  const next = [0, 0, 0];
  let now: Text[] = [];
  let shift = 0;
  let key = from;
  let at = from + 1;
  const count = tx.number(args[from]!);
  for (let thing = 0; thing < count; thing++) {
    const kind = args[at]!;
    if (isElsewhere(tx, keys, key, kind)) return { now, things, entries, alone: 0, next };
    shift = kind === 'hash' ? at + 2 - now.length : 0;
    if (kind === 'hash') {
      const stop = at + 2 + tx.number(args[at + 1]!);
      now = joined(now, tx.hmgetWithin(keys[key]!, args, at + 2, stop));
      at = stop;
    } else {
      now.push(tx.get(keys[key]!) ?? false);
      at = at + 1;
    }
    things.push(key);
    things.push(now.length);
    things.push(shift);
    entries.push([]);
    key = key + keysOf(kind);
  }
  next[0] = at;
  return { now, things, entries, alone: count === 1 ? shift : 0, next };
}

/** Whether a thing has ends, or somebody watches it. */
function isElsewhere(tx: Tx, keys: readonly string[], key: number, kind: string): boolean {
  if (kind === 'hash') return tx.existsEither(keys[key + 1]!, keys[key + 2]!);
  return kind === 'value' && tx.exists(keys[key + 1]!);
}

function joined(before: Text[], texts: Text[]): Text[] {
  if (before.length === 0) return texts;
  for (const text of texts) before.push(text);
  return before;
}

function keysOf(kind: string): number {
  if (kind === 'hash') return 3;
  return kind === 'value' ? 2 : 1;
}

/** Of a token. */
function lengthOf(verb: string): number {
  if (verb === '~') return 3;
  return verb === '0' || verb === '-' ? 1 : 2;
}

/** Whether all is as the next request expects. What most tokens are is done in place: a call costs as much as all else. */
function checked(tx: Tx, args: readonly string[], cells: Cells): string {
  const now = cells.now;
  let outcome = ':ok';
  const next = cells.next;
  let at = next[0]!;
  let cell = next[1]!;
  for (let verb = args[at]!; verb !== ';'; verb = args[at]!) {
    if (verb === '~') {
      if (now[cell]! !== args[at + 1]!) outcome = ':conflict';
      at = at + 3;
      cell = cell + 1;
    } else {
      const token = verb === '@' ? at + 2 : at;
      const which = verb === '@' ? tx.number(args[at + 1]!) : cell;
      if (isOther(args[token]!, now[which]!, args[token + 1]!)) outcome = ':conflict';
      if (token === at) cell = cell + 1;
      at = token + lengthOf(args[token]!);
    }
  }
  next[0] = at + 1;
  next[1] = cell;
  return outcome;
}

/** Whether a cell is not what it is expected to be. */
function isOther(verb: string, now: Text, expected: string): boolean {
  if (verb === '~' || verb === '=') return now !== expected;
  return (verb === '0' || verb === '+') && now !== false;
}

/** Whether the request at `from` writes a cell that is reserved: see `reserve` in operations/transaction.ts. */
function isKept(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  from: number,
  first: number,
  cells: Cells,
): boolean {
  let at = from;
  let cell = first;
  for (let verb = args[at]!; verb !== ';'; verb = args[at]!) {
    const token = verb === '@' ? at + 2 : at;
    const which = verb === '@' ? tx.number(args[at + 1]!) : cell;
    if (isWriting(args[token]!) && isReserved(tx, keys, args, which, cells)) return true;
    if (token === at) cell = cell + 1;
    at = token + lengthOf(args[token]!);
  }
  return false;
}

function isWriting(verb: string): boolean {
  return verb !== '=' && verb !== '0';
}

function isReserved(tx: Tx, keys: readonly string[], args: readonly string[], cell: number, cells: Cells): boolean {
  const thing = thingOf(cells.things, cell);
  const key = keys[cells.things[thing * 3]!]!;
  if (tx.hexists(keys[1]!, key)) return true;
  const shift = cells.things[thing * 3 + 2]!;
  return shift > 0 && tx.hexists(keys[1]!, key + ' ' + args[cell + shift]!);
}

/** Most steps have one. */
function thingOf(things: readonly number[], cell: number): number {
  for (let thing = 0; thing * 3 < things.length; thing++) if (things[thing * 3 + 1]! > cell) return thing;
  return 0;
}

/** Does the request at `from`. `first`: the first cell that none before it was about. */
function change(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  from: number,
  first: number,
  cells: Cells,
): void {
  const now = cells.now;
  const alone = cells.alone;
  let at = from;
  let cell = first;
  for (let verb = args[at]!; verb !== ';'; verb = args[at]!) {
    if (verb === '~' && alone > 0) {
      const entries = cells.entries[0]!;
      const text = args[at + 2]!;
      entries.push(args[cell + alone]!);
      entries.push(text);
      now[cell] = text;
      at = at + 3;
      cell = cell + 1;
    } else {
      const token = verb === '@' ? at + 2 : at;
      const which = verb === '@' ? tx.number(args[at + 1]!) : cell;
      if (isWriting(args[token]!)) write(tx, keys, args, token, which, cells);
      if (token === at) cell = cell + 1;
      at = token + lengthOf(args[token]!);
    }
  }
}

/** What a token says of a cell. */
function write(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  token: number,
  cell: number,
  cells: Cells,
): void {
  const verb = args[token]!;
  const text = args[verb === '~' ? token + 2 : token + 1]!;
  const thing = thingOf(cells.things, cell);
  const key = keys[cells.things[thing * 3]!]!;
  const shift = cells.things[thing * 3 + 2]!;
  const now = cells.now;
  if (shift === 0) now[cell] = writeText(tx, key, verb, text);
  else if (verb === '-') {
    writeEntries(tx, keys, cells, thing); // or what was set before would be set after
    tx.hdel(key, args[cell + shift]!);
    now[cell] = false;
  } else {
    const entries = cells.entries[thing]!;
    entries.push(args[cell + shift]!);
    entries.push(text);
    now[cell] = text;
  }
}

/** What is there then. */
function writeText(tx: Tx, key: string, verb: string, text: string): Text {
  if (verb === '#') return tx.incrby(key, text);
  if (verb === '-') {
    tx.del(key);
    return false;
  }
  tx.set(key, text);
  return text;
}

function writeEntries(tx: Tx, keys: readonly string[], cells: Cells, thing: number): void {
  const entries = cells.entries;
  const its = entries[thing]!;
  if (its.length === 0) return;
  tx.hmset(keys[cells.things[thing * 3]!]!, its);
  entries[thing] = [];
}
