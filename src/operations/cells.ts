/**
 * Transactions over cells: entries of maps, values, counters, and owners of locks. What operations/transaction.ts does, in
 * its own keys and records, for those that need nothing else, as most do: at a fraction of the price.
 *
 * - All cells of a step are read at once, and each once; what one request changes is what the next one finds; entries are
 *   written at the end, the others as they come.
 * - Entries with ends, and what somebody watches, are not for here: such a step is refused as a whole, before any write.
 * - A cell of a wrong type fails the first read of it, also before any write.
 */
import { isDone } from './transaction.ts';
import type { BatchOperation, Tx } from './tx.ts';

/** A cell's text; false where there is none. */
type Text = string | false;

interface Cells {
  readonly now: Text[];
  /** Of each thing the place of its key in `keys`. */
  readonly keys: number[];
  /** Of each thing the first cell behind its own. */
  readonly ends: number[];
  /** Of each thing how far behind its cells the fields stand in `args`; 0 where it is no map. */
  readonly shifts: number[];
  /** Entries that were written, in order. */
  readonly changed: number[];
  /** Where the next request begins, and the first cell that none before it named. */
  readonly next: number[];
  /** Somebody has the commit lock. */
  readonly isLocked: boolean;
}

/**
 * What came of each request, as one text: the id, then `:ok`, `:conflict`, or `:turn` where the commit lock is in the way. Then,
 * if one was refused or `?` follows them, what all cells hold now: a text, or 0 for none. `other` where it is not for here.
 *
 * keys: commits, lock, then of each thing its key and those that must not be. args: the field in commits, the id ('' for none), how
 * many things; of each thing `hash`, how many fields, these fields, or `value`, or `string`; then the requests, each ended by `;`.
 * Cells are numbered in this order, from 0; '' is the first one that was not named so yet, as most are: to make a number of a text is
 * dear. A request is made of `=` cell text (it is that), `0` cell (it is absent), `~` cell text text (it is that, and becomes that),
 * `+` cell text (it is absent, and becomes that), `!` cell text (it becomes that), `-` cell (it is deleted), `#` cell integer (it becomes
 * more by that).
 */
export const commit: BatchOperation<readonly (string | number)[]> = {
  name: 'cells.commit',
  batch: true,
  step(tx, keys, args) {
    const known = tx.hget(keys[0]!, args[0]!) ?? '';
    if (isDone(tx, known, args[1]!)) return ['done', known];
    const cells = load(tx, keys, args, 2, tx.exists(keys[1]!));
    const place = cells.next;
    if (place[0]! === 0) return ['other'];
    let isRefused = false;
    let outcomes = args[1]!;
    for (let at = place[0]!; at < args.length && args[at]! !== '?'; at = place[0]!) {
      const cell = place[1]!;
      const outcome = checked(tx, keys, args, cells);
      if (outcome === 'ok') change(tx, keys, args, at, cell, cells);
      else isRefused = true;
      outcomes = outcomes + ':' + outcome;
    }
    writeBack(tx, keys, args, cells);
    if (args[1]! !== '') tx.hset(keys[0]!, args[0]!, outcomes);
    const reply: (string | number)[] = ['now', outcomes];
    if (isRefused || place[0]! < args.length) showAll(cells, reply);
    return reply;
  },
};

/** What all cells hold: keys and args as of `commit`, of the things alone, and so is the reply. */
export const look: BatchOperation<readonly (string | number)[]> = {
  name: 'cells.look',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const cells = load(tx, keys, args, 0, false);
    if (cells.next[0]! === 0) return ['other'];
    const reply: (string | number)[] = ['now', ''];
    showAll(cells, reply);
    return reply;
  },
};

function showAll(cells: Cells, reply: (string | number)[]): void {
  for (const text of cells.now) reply.push(text === false ? 0 : text);
}

/** The cells before all requests, which begin at 0 if it is not for here. `from`: where the things begin, in keys and args. */
function load(tx: Tx, keys: readonly string[], args: readonly string[], from: number, isLocked: boolean): Cells {
  const cells: Cells = { now: [], keys: [], ends: [], shifts: [], changed: [], next: [0, 0], isLocked };
  const now = cells.now;
  const ends = cells.ends;
  const things = tx.number(args[from]!);
  let key = from;
  let at = from + 1;
  for (let thing = 0; thing < things; thing++) {
    const kind = args[at]!;
    if (kind === 'hash' && tx.existsEither(keys[key + 1]!, keys[key + 2]!)) return cells;
    if (kind === 'value' && tx.exists(keys[key + 1]!)) return cells;
    const placed = cells.keys;
    placed.push(key);
    const shifts = cells.shifts;
    shifts.push(kind === 'hash' ? at + 2 - now.length : 0);
    if (kind === 'hash') at = loadEntries(tx, keys[key]!, args, at + 2, now);
    else {
      now.push(tx.get(keys[key]!) ?? false);
      at = at + 1;
    }
    ends.push(now.length);
    key = key + keysOf(kind);
  }
  const place = cells.next;
  place[0] = at;
  return cells;
}

function keysOf(kind: string): number {
  if (kind === 'hash') return 3;
  return kind === 'value' ? 2 : 1;
}

/** Where the next thing begins. `from`: the first field, behind how many there are. */
function loadEntries(tx: Tx, key: string, args: readonly string[], from: number, now: Text[]): number {
  const fields: string[] = [];
  const stop = from + tx.number(args[from - 1]!);
  for (let i = from; i < stop; i++) fields.push(args[i]!);
  for (const text of tx.hmget(key, fields)) now.push(text);
  return stop;
}

function lengthOf(verb: string): number {
  if (verb === '~') return 4;
  return verb === '0' || verb === '-' ? 2 : 3;
}

/** `ok` if all is so that the next request expects, and the commit lock does not keep for another what it writes. */
function checked(tx: Tx, keys: readonly string[], args: readonly string[], cells: Cells): 'ok' | 'conflict' | 'turn' {
  const now = cells.now;
  const place = cells.next;
  let outcome: 'ok' | 'conflict' | 'turn' = 'ok';
  let unnamed = place[1]!;
  let at = place[0]!;
  for (; args[at]! !== ';'; at = at + lengthOf(args[at]!)) {
    const verb = args[at]!;
    let cell = unnamed;
    if (args[at + 1]! === '') unnamed = unnamed + 1;
    else cell = tx.number(args[at + 1]!);
    if (isOther(verb, now[cell]!, args[at + 2]!)) outcome = 'conflict';
    else if (cells.isLocked && outcome === 'ok' && isKept(tx, keys, args, verb, cell, cells)) outcome = 'turn';
  }
  place[0] = at + 1;
  place[1] = unnamed;
  return outcome;
}

/** Whether a cell is not what it is expected to be. */
function isOther(verb: string, now: Text, expected: string): boolean {
  if (verb === '~' || verb === '=') return now !== expected;
  return (verb === '0' || verb === '+') && now !== false;
}

/** Whether a cell is to be written that is reserved: see `reserve` in operations/transaction.ts. */
function isKept(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  verb: string,
  cell: number,
  cells: Cells,
): boolean {
  if (verb === '=' || verb === '0') return false;
  const thing = thingOf(cells, cell);
  const key = keys[cells.keys[thing]!]!;
  if (tx.hexists(keys[1]!, key)) return true;
  const shift = cells.shifts[thing]!;
  return shift > 0 && tx.hexists(keys[1]!, key + ' ' + args[cell + shift]!);
}

/** Most steps have one. */
function thingOf(cells: Cells, cell: number): number {
  for (let thing = 0; thing < cells.ends.length; thing++) if (cells.ends[thing]! > cell) return thing;
  return 0;
}

/** Does the request at `from`. `cell`: the first one that none before it named. */
function change(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  from: number,
  cell: number,
  cells: Cells,
): void {
  const now = cells.now;
  const changed = cells.changed;
  let unnamed = cell;
  for (let at = from; args[at]! !== ';'; at = at + lengthOf(args[at]!)) {
    const verb = args[at]!;
    let which = unnamed;
    if (args[at + 1]! === '') unnamed = unnamed + 1;
    else which = tx.number(args[at + 1]!);
    if (verb !== '=' && verb !== '0') {
      const thing = thingOf(cells, which);
      const text = args[verb === '~' ? at + 3 : at + 2]!;
      if (cells.shifts[thing]! === 0) now[which] = writeText(tx, keys[cells.keys[thing]!]!, verb, text);
      else {
        changed.push(which);
        if (verb === '-') now[which] = false;
        else now[which] = text;
      }
    }
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

/** Entries of a map that changed one behind the other are written together; in the end all are as they are now. */
function writeBack(tx: Tx, keys: readonly string[], args: readonly string[], cells: Cells): void {
  const now = cells.now;
  let entries: string[] = [];
  let thing = 0;
  for (const cell of cells.changed) {
    const its = thingOf(cells, cell);
    if (entries.length > 0 && (its !== thing || entries.length === 2_000)) {
      tx.hmset(keys[cells.keys[thing]!]!, entries);
      entries = [];
    }
    thing = its;
    const field = args[cell + cells.shifts[thing]!]!;
    const text = now[cell]!;
    if (text === false) tx.hdel(keys[cells.keys[thing]!]!, field);
    else {
      entries.push(field);
      entries.push(text);
    }
  }
  if (entries.length > 0) tx.hmset(keys[cells.keys[thing]!]!, entries);
}
