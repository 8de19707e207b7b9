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
  /** By cell: the place of its key in `keys`, and its field; false where it is no entry of a map. */
  readonly key: number[];
  readonly field: Text[];
  /** Somebody has the commit lock. */
  readonly isLocked: boolean;
}

/**
 * What came of each request, as one text: the id, then `:ok`, `:conflict`, or `:turn` where the commit lock is in the way. Then,
 * if one was refused or `?` follows them, what all cells hold now: a text, or 0 for none. `other` where it is not for here.
 *
 * keys: commits, lock, then of each thing its key and those that must not be. args: the field in commits, the id ('' for none), how
 * many things; of each thing `hash`, how many fields, these fields, or `value`, or `string`; then the requests, each ended by `;`.
 * Cells are numbered in this order, from 0. A request is made of `=` cell text (it is that), `0` cell (it is absent), `~` cell text
 * text (it is that, and becomes that), `+` cell text (it is absent, and becomes that), `!` cell text (it becomes that), `-` cell (it is
 * deleted), `#` cell integer (it becomes more by that).
 */
export const commit: BatchOperation<readonly (string | number)[]> = {
  name: 'cells.commit',
  batch: true,
  step(tx, keys, args) {
    const known = tx.hget(keys[0]!, args[0]!) ?? '';
    if (isDone(tx, known, args[1]!)) return ['done', known];
    const cells: Cells = { now: [], key: [], field: [], isLocked: tx.exists(keys[1]!) };
    const changed: number[] = [];
    let at = load(tx, keys, args, cells);
    if (at === 0) return ['other'];
    let isRefused = false;
    let outcomes = args[1]!;
    for (; at < args.length && args[at]! !== '?'; at = behind(args, at)) {
      const outcome = checked(tx, keys, args, at, cells);
      if (outcome === 'ok') change(tx, keys, args, at, cells, changed);
      else isRefused = true;
      outcomes = outcomes + ':' + outcome;
    }
    writeBack(tx, keys, cells, changed);
    if (args[1]! !== '') tx.hset(keys[0]!, args[0]!, outcomes);
    const reply: (string | number)[] = ['now', outcomes];
    if (isRefused || at < args.length) showAll(cells, reply);
    return reply;
  },
};

/** What all cells hold: keys and args as of `commit`, without requests, and so is the reply. */
export const look: BatchOperation<readonly (string | number)[]> = {
  name: 'cells.look',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const cells: Cells = { now: [], key: [], field: [], isLocked: false };
    if (load(tx, keys, args, cells) === 0) return ['other'];
    const reply: (string | number)[] = ['now', ''];
    showAll(cells, reply);
    return reply;
  },
};

function showAll(cells: Cells, reply: (string | number)[]): void {
  for (const text of cells.now) reply.push(text === false ? 0 : text);
}

/** Where the requests begin; 0 if it is not for here. */
function load(tx: Tx, keys: readonly string[], args: readonly string[], cells: Cells): number {
  const things = tx.number(args[2]!);
  let key = 2;
  let at = 3;
  for (let thing = 0; thing < things; thing++) {
    if (args[at]! === 'hash') {
      if (tx.exists(keys[key + 1]!) || tx.exists(keys[key + 2]!)) return 0;
      at = loadEntries(tx, keys, args, at + 1, cells, key);
      key = key + 3;
    } else {
      const isValue = args[at]! === 'value';
      if (isValue && tx.exists(keys[key + 1]!)) return 0;
      loadText(tx, keys, cells, key);
      key = key + (isValue ? 2 : 1);
      at = at + 1;
    }
  }
  return at;
}

/** Where the next thing begins. */
function loadEntries(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  from: number,
  cells: Cells,
  key: number,
): number {
  const now = cells.now;
  const places = cells.key;
  const names = cells.field;
  const fields: string[] = [];
  const stop = from + 1 + tx.number(args[from]!);
  for (let i = from + 1; i < stop; i++) fields.push(args[i]!);
  const found = tx.hmget(keys[key]!, fields);
  for (let i = 0; i < fields.length; i++) {
    now.push(found[i]!);
    places.push(key);
    names.push(fields[i]!);
  }
  return stop;
}

function loadText(tx: Tx, keys: readonly string[], cells: Cells, key: number): void {
  const now = cells.now;
  now.push(tx.get(keys[key]!) ?? false);
  const places = cells.key;
  places.push(key);
  const names = cells.field;
  names.push(false);
}

function lengthOf(verb: string): number {
  if (verb === '~') return 4;
  return verb === '0' || verb === '-' ? 2 : 3;
}

/** Where the next request begins. */
function behind(args: readonly string[], from: number): number {
  let next = from + 1;
  for (let at = from; args[at]! !== ';'; at = at + lengthOf(args[at]!)) next = at + lengthOf(args[at]!) + 1;
  return next;
}

/** `ok` if all is so that the request at `from` expects, and the commit lock does not keep for another what it writes. */
function checked(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  from: number,
  cells: Cells,
): 'ok' | 'conflict' | 'turn' {
  const now = cells.now;
  let isKept = false;
  for (let at = from; args[at]! !== ';'; at = at + lengthOf(args[at]!)) {
    const verb = args[at]!;
    const cell = tx.number(args[at + 1]!);
    if (isOther(verb, now[cell]!, args[at + 2]!)) return 'conflict';
    if (cells.isLocked && verb !== '=' && verb !== '0' && isReserved(tx, keys, cells, cell)) isKept = true;
  }
  return isKept ? 'turn' : 'ok';
}

/** Whether a cell is not what it is expected to be. */
function isOther(verb: string, now: Text, expected: string): boolean {
  if (verb === '=' || verb === '~') return now !== expected;
  return (verb === '0' || verb === '+') && now !== false;
}

/** See `reserve` in operations/transaction.ts. */
function isReserved(tx: Tx, keys: readonly string[], cells: Cells, cell: number): boolean {
  const key = keys[cells.key[cell]!]!;
  if (tx.hexists(keys[1]!, key)) return true;
  const field = cells.field[cell]!;
  return field !== false && tx.hexists(keys[1]!, key + ' ' + field);
}

function change(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  from: number,
  cells: Cells,
  changed: number[],
): void {
  const now = cells.now;
  for (let at = from; args[at]! !== ';'; at = at + lengthOf(args[at]!)) {
    const verb = args[at]!;
    if (verb !== '=' && verb !== '0') {
      const cell = tx.number(args[at + 1]!);
      const text = args[verb === '~' ? at + 3 : at + 2]!;
      if (cells.field[cell]! === false) now[cell] = writeText(tx, keys[cells.key[cell]!]!, verb, text);
      else {
        changed.push(cell);
        if (verb === '-') now[cell] = false;
        else now[cell] = text;
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
function writeBack(tx: Tx, keys: readonly string[], cells: Cells, changed: readonly number[]): void {
  let entries: string[] = [];
  for (let i = 0; i < changed.length; i++) {
    const cell = changed[i]!;
    const key = keys[cells.key[cell]!]!;
    const field = cells.field[cell]!;
    const text = cells.now[cell]!;
    if (field !== false && text === false) tx.hdel(key, field);
    else if (field !== false && text !== false) {
      entries.push(field);
      entries.push(text);
    }
    const isLast =
      i + 1 === changed.length || entries.length === 2_000 || cells.key[changed[i + 1]!]! !== cells.key[cell]!;
    if (isLast && entries.length > 0) {
      tx.hmset(key, entries);
      entries = [];
    }
  }
}
