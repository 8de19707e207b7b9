/**
 * The verbs of lists. A list is kept as Redis keeps its quicklist: its first and its last elements stand in the row of its
 * key, those between them in chunks, each a row by the position of its first element. So what is pushed or popped at an end
 * is mostly a change of that one row.
 *
 * - `few` has the elements in the row of the key; where there are chunks, `astray` of these are before them. Where there are
 *   none, `astray` means nothing.
 * - `start` is the position of the first element of all. Chunks follow each other without a gap.
 * - Where the row is full a chunk goes out of it. Of a chunk that is popped in part the rest comes in.
 */
import { invalidArgument } from '../../base/errors.ts';
import type { Tx } from '../../operations/tx.ts';
import type { Statement } from './driver.ts';
import { fitsRow } from './few.ts';
import type { Key } from './keys.ts';
import { rangeOf } from './range.ts';

type ListVerb = 'lpush' | 'rpush' | 'lpop' | 'rpop' | 'lpopMany' | 'llen' | 'lrange' | 'lset' | 'ltrim';
type End = 'first' | 'last';

/** What the verbs need of the store. */
export interface ListParts {
  /** A live list, if there is one. */
  read(key: string): Key | undefined;
  /** As `read`: a new one where there is none. */
  open(key: string): Key;
  resize(key: Key, by: 1 | -1): number;
  remove(key: Key): void;
  /** Gives a list a number for its chunks. */
  claim(key: Key): void;
  /** Something of the key is another one now. */
  changed(key: Key): void;
}

/** `sql` prepares a statement. */
export function listVerbs(sql: (text: string) => Statement, parts: ListParts): Pick<Tx, ListVerb> {
  const { read, open, resize, remove, changed } = parts;
  const { slice, set, drop, settle } = elementsOf(sql, parts.claim);

  function push(key: string, end: End, element: string): number {
    const found = open(key);
    if (end === 'last') found.few!.push(element);
    else {
      found.few!.unshift(element);
      found.start -= 1;
      found.astray += 1;
    }
    const length = resize(found, 1);
    settle(found);
    return length;
  }

  function pop(key: string, end: End, count: number): string[] {
    const found = read(key);
    if (found === undefined) return [];
    const rest = found.size - count;
    if (rest <= 0) {
      const all = slice(found, 0, found.size - 1);
      remove(found);
      return all;
    }
    const popped = end === 'first' ? slice(found, 0, count - 1) : slice(found, rest, found.size - 1);
    drop(found, end, count);
    settle(found);
    changed(found);
    return popped;
  }

  return {
    lpush: (key, element) => push(key, 'first', element),
    rpush: (key, element) => push(key, 'last', element),
    lpop: (key) => pop(key, 'first', 1)[0],
    rpop: (key) => pop(key, 'last', 1)[0],
    lpopMany: (key, count) => pop(key, 'first', count),
    llen: (key) => read(key)?.size ?? 0,
    lrange(key, from, to) {
      const found = read(key);
      const range = found === undefined ? undefined : rangeOf(found.size, from, to);
      return found === undefined || range === undefined ? [] : slice(found, ...range);
    },
    lset(key, index, element) {
      const found = read(key);
      const range = found === undefined ? undefined : rangeOf(found.size, index, index);
      if (found === undefined || range === undefined) throw invalidArgument('index', index, 'an index of the list');
      set(found, range[0], element);
      settle(found);
      changed(found);
    },
    ltrim(key, from, to) {
      const found = read(key);
      if (found === undefined) return;
      const range = rangeOf(found.size, from, to);
      if (range === undefined) return remove(found);
      drop(found, 'last', found.size - 1 - range[1]);
      drop(found, 'first', range[0]);
      settle(found);
      changed(found);
    },
  };
}

/** Whether all elements stand in the row of the key. */
export function isInRow(list: Key): boolean {
  return list.size === list.few!.length;
}

/** So many elements stand in the row of the key at most. Nobody looks for one among them. */
const inRowMax = 32;
/** A chunk with a longer text is cut where one of its elements is set: else each of them might make it longer. */
const chunkLengthMax = 1_024;

/** The elements of a list, wherever they stand. What changes one leaves a row that may be too full: see `settle`. */
interface Elements {
  /** By their indexes. */
  slice(list: Key, first: number, last: number): string[];
  set(list: Key, index: number, element: string): void;
  /** Removes so many, and not all. */
  drop(list: Key, end: End, count: number): void;
  /** Makes a chunk of what the row has no room for. */
  settle(list: Key): void;
}

function elementsOf(sql: (text: string) => Statement, claim: (list: Key) => void): Elements {
  /** The position at which the first chunk begins. */
  function begin({ start, astray }: Key): number {
    return start + astray;
  }

  /** The position behind the last chunk. */
  function end({ start, astray, few, size }: Key): number {
    return start + size - (few!.length - astray);
  }

  /** The chunk that has this position. */
  function chunkAt({ number }: Key, position: number): { from: number; elements: string[] } {
    const at = sql(
      'SELECT position, value FROM lists WHERE number = ? AND position <= ? ORDER BY position DESC LIMIT 1',
    );
    const [from, value] = at.get(number, position) as [number, string];
    return { from, elements: JSON.parse(value) as string[] };
  }

  /** Removes so many of the first elements in chunks; the row has none before them. What is left of a chunk comes in. */
  function dropFirst(list: Key, without: number): void {
    const position = begin(list) + without;
    const { from, elements } = chunkAt(list, position - 1);
    sql('DELETE FROM lists WHERE number = ? AND position <= ?').do(list.number, from);
    const kept = elements.slice(position - from);
    list.few!.unshift(...kept);
    list.astray = kept.length;
    list.start += without;
    list.size -= without;
  }

  /** As `dropFirst`, of the last ones; the row has none behind them. */
  function dropLast(list: Key, without: number): void {
    const position = end(list) - without;
    const { from, elements } = chunkAt(list, position);
    sql('DELETE FROM lists WHERE number = ? AND position >= ?').do(list.number, from);
    list.few!.push(...elements.slice(0, position - from));
    list.size -= without;
  }

  /** Removes so many that stand in the row, at an end. */
  function dropInRow(list: Key, from: End, count: number): void {
    list.few!.splice(from === 'first' ? 0 : list.few!.length - count, count);
    list.size -= count;
    if (from === 'last') return;
    list.start += count;
    list.astray = Math.max(0, list.astray - count);
  }

  /** So many in the row, from this one on, are a chunk from now on. */
  function evict(list: Key, first: number, count: number): void {
    const position = first < list.astray ? list.start + first : end(list);
    insert(list, position, list.few!.splice(first, count) as string[]);
  }

  function insert({ number }: Key, position: number, elements: readonly string[]): void {
    if (elements.length === 0) return;
    const chunk = sql('INSERT INTO lists (number, position, value) VALUES (?, ?, ?)');
    chunk.do(number, position, JSON.stringify(elements));
  }

  /** Sets an element that stands in a chunk. */
  function setInChunk(list: Key, position: number, element: string): void {
    const { from, elements } = chunkAt(list, position);
    const place = position - from;
    elements[place] = element;
    const text = JSON.stringify(elements);
    if (text.length <= chunkLengthMax || elements.length === 1) {
      sql('UPDATE lists SET value = ? WHERE number = ? AND position = ?').do(text, list.number, from);
      return;
    }
    sql('DELETE FROM lists WHERE number = ? AND position = ?').do(list.number, from);
    insert(list, from, elements.slice(0, place));
    insert(list, position, [element]);
    insert(list, position + 1, elements.slice(place + 1));
  }

  return {
    slice(list, first, last) {
      const few = list.few as string[];
      if (isInRow(list)) return few.slice(first, last + 1);
      const elements = few.slice(first, Math.min(last + 1, list.astray));
      const from = Math.max(list.start + first, begin(list));
      const to = Math.min(list.start + last + 1, end(list));
      if (from < to) {
        const between = sql(
          'SELECT position, value FROM lists WHERE number = ? AND position < ? ' +
            'AND position >= (SELECT max(position) FROM lists WHERE number = ? AND position <= ?) ORDER BY position',
        );
        for (const [position, value] of between.all(list.number, to, list.number, from) as [number, string][]) {
          const chunk = JSON.parse(value) as string[];
          elements.push(...chunk.slice(Math.max(0, from - position), to - position));
        }
      }
      const inChunks = list.size - few.length;
      for (let i = Math.max(list.astray, first - inChunks); i <= last - inChunks; i++) elements.push(few[i]!);
      return elements;
    },
    set(list, index, element) {
      const few = list.few!;
      const inChunks = list.size - few.length;
      if (inChunks === 0 || index < list.astray) few[index] = element;
      else if (index - inChunks >= list.astray) few[index - inChunks] = element;
      else setInChunk(list, list.start + index, element);
    },
    drop(list, from, count) {
      const { few, astray } = list;
      const there = isInRow(list) ? few!.length : from === 'first' ? astray : few!.length - astray;
      dropInRow(list, from, Math.min(count, there));
      const rest = count - there;
      if (rest <= 0) return;
      const inChunks = list.size - few!.length;
      if (rest < inChunks) return from === 'first' ? dropFirst(list, rest) : dropLast(list, rest);
      sql('DELETE FROM lists WHERE number = ?').do(list.number);
      list.size -= inChunks;
      if (from === 'first') list.start += inChunks;
      dropInRow(list, from, rest - inChunks);
    },
    settle(list) {
      while (!fitsRow(list, inRowMax)) {
        const { length } = list.few!;
        if (isInRow(list)) {
          claim(list);
          list.astray = length >> 2; // so many stay at either end: what is pushed and popped in turn moves no chunk
          evict(list, list.astray, length - 2 * list.astray);
        } else {
          const behind = length - list.astray;
          if (behind >= list.astray) evict(list, list.astray, behind - (behind >> 2));
          else {
            const kept = list.astray >> 2;
            evict(list, kept, list.astray - kept);
            list.astray = kept;
          }
        }
      }
    },
  };
}
