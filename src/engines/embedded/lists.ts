/** The verbs of lists as prepared statements. */
import { invalidArgument } from '../../base/errors.ts';
import type { Tx } from '../../operations/tx.ts';
import { type Statement, texts } from './driver.ts';
import { type Few, stayFew } from './few.ts';
import type { Key } from './keys.ts';
import { rangeOf } from './range.ts';

type ListVerb = 'lpush' | 'rpush' | 'lpop' | 'rpop' | 'lpopMany' | 'llen' | 'lrange' | 'lset' | 'ltrim';

/** What the verbs need of the store. */
export interface ListParts {
  /** A live list, if there is one. */
  read(key: string): Key | undefined;
  /** As `read`: a new one where there is none. */
  open(key: string): Key;
  resize(key: Key, by: 1 | -1): number;
  remove(key: Key): void;
  /** Gives each element a row of its own. */
  spill(key: Key): void;
  /** Something of the key is another one now. */
  changed(key: Key): void;
}

const insert = 'INSERT INTO lists (number, position, value) VALUES (?, ?, ?)';

/** Gives the elements of a list rows, in its number. */
export function insertElements(sql: (text: string) => Statement, list: Key, elements: Few): void {
  for (const [i, element] of elements.entries()) sql(insert).do(list.number, i, element);
}

/** `sql` prepares a statement. */
export function listVerbs(sql: (text: string) => Statement, parts: ListParts): Pick<Tx, ListVerb> {
  const { read, open, resize, remove, spill, changed } = parts;

  function pop(key: string, end: 'first' | 'last'): string | undefined {
    const found = read(key);
    if (found === undefined) return undefined;
    if (found.few !== undefined) {
      const [few] = found.few.splice(end === 'first' ? 0 : -1, 1);
      resize(found, -1);
      return few as string;
    }
    const position = end === 'first' ? found.start++ : found.start + found.size - 1;
    const element = sql('SELECT value FROM lists WHERE number = ? AND position = ?').get(
      found.number,
      position,
    )![0] as string;
    sql('DELETE FROM lists WHERE number = ? AND position = ?').do(found.number, position);
    resize(found, -1);
    return element;
  }

  function push(key: string, end: 'first' | 'last', element: string): number {
    const found = open(key);
    if (found.few !== undefined) {
      if (end === 'first') found.few.unshift(element);
      else found.few.push(element);
      stayFew(found, found.few, spill);
      return resize(found, 1);
    }
    const position = end === 'first' ? --found.start : found.start + found.size;
    sql(insert).do(found.number, position, element);
    return resize(found, 1);
  }

  /** Removes all others: by their indexes. */
  function keep(found: Key, first: number, last: number): void {
    if (found.few !== undefined) found.few = found.few.slice(first, last + 1);
    else {
      if (first > 0) {
        sql('DELETE FROM lists WHERE number = ? AND position < ?').do(found.number, found.start + first);
      }
      if (last < found.size - 1) {
        sql('DELETE FROM lists WHERE number = ? AND position > ?').do(found.number, found.start + last);
      }
      found.start += first;
    }
    found.size = last - first + 1;
    changed(found);
  }

  /** By their indexes. */
  function elements(found: Key, first: number, last: number): string[] {
    if (found.few !== undefined) return found.few.slice(first, last + 1) as string[];
    const between = sql('SELECT value FROM lists WHERE number = ? AND position BETWEEN ? AND ? ORDER BY position');
    return texts(between.all(found.number, found.start + first, found.start + last));
  }

  return {
    lpush: (key, element) => push(key, 'first', element),
    rpush: (key, element) => push(key, 'last', element),
    lpop: (key) => pop(key, 'first'),
    rpop: (key) => pop(key, 'last'),
    lpopMany(key, count) {
      const found = read(key);
      if (found === undefined) return [];
      const popped = elements(found, 0, Math.min(count, found.size) - 1);
      if (popped.length === found.size) {
        remove(found);
        return popped;
      }
      keep(found, popped.length, found.size - 1);
      return popped;
    },
    llen: (key) => read(key)?.size ?? 0,
    lrange(key, from, to) {
      const found = read(key);
      const range = found === undefined ? undefined : rangeOf(found.size, from, to);
      return found === undefined || range === undefined ? [] : elements(found, ...range);
    },
    lset(key, index, element) {
      const found = read(key);
      const range = found === undefined ? undefined : rangeOf(found.size, index, index);
      if (found === undefined || range === undefined) throw invalidArgument('index', index, 'an index of the list');
      if (found.few !== undefined) {
        found.few[range[0]] = element;
        changed(found);
        stayFew(found, found.few, spill);
        return;
      }
      const there = sql('UPDATE lists SET value = ? WHERE number = ? AND position = ?');
      there.do(element, found.number, found.start + range[0]);
    },
    ltrim(key, from, to) {
      const found = read(key);
      if (found === undefined) return;
      const range = rangeOf(found.size, from, to);
      if (range === undefined) return remove(found);
      keep(found, ...range);
    },
  };
}
