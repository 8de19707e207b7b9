/** The verbs of lists as prepared statements. */
import { invalidArgument } from '../../base/errors.ts';
import type { Tx } from '../../operations/tx.ts';
import { type Statement, texts } from './driver.ts';
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
  /** Something of the key is another one now. */
  changed(key: Key): void;
}

/** `sql` prepares a statement. */
export function listVerbs(sql: (text: string) => Statement, parts: ListParts): Pick<Tx, ListVerb> {
  const { read, open, resize, remove, changed } = parts;

  function pop(key: string, end: 'first' | 'last'): string | undefined {
    const found = read(key);
    if (found === undefined) return undefined;
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
    const position = end === 'first' ? --found.start : found.start + found.size;
    sql('INSERT INTO lists (number, position, value) VALUES (?, ?, ?)').do(found.number, position, element);
    return resize(found, 1);
  }

  /** By their indexes. */
  function elements(found: Key, first: number, last: number): string[] {
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
      sql('DELETE FROM lists WHERE number = ? AND position < ?').do(found.number, found.start + popped.length);
      found.start += popped.length;
      found.size -= popped.length;
      changed(found);
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
      const there = sql('UPDATE lists SET value = ? WHERE number = ? AND position = ?');
      there.do(element, found.number, found.start + range[0]);
    },
    ltrim(key, from, to) {
      const found = read(key);
      if (found === undefined) return;
      const range = rangeOf(found.size, from, to);
      if (range === undefined) return remove(found);
      const [first, last] = range.map((index) => found.start + index) as [number, number];
      sql('DELETE FROM lists WHERE number = ? AND position < ?').do(found.number, first);
      sql('DELETE FROM lists WHERE number = ? AND position > ?').do(found.number, last);
      found.start = first;
      found.size = last - first + 1;
      changed(found);
    },
  };
}
