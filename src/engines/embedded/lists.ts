/**
 * The verbs of lists. A list is kept as Redis keeps its quicklist: its first and its last elements stand in the row of its
 * key, those between them in chunks, each a row by the position of its first element. So what is pushed or popped at an end
 * is mostly a change of that one row.
 *
 * - `few` has the elements in the row of the key; where there are chunks, `astray` of these are before them.
 * - `start` is the position of the first element of all. Chunks follow each other without a gap.
 * - Where the row is full a chunk goes out of it, and where one of its ends is empty the next chunk comes in.
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
/** No chunk has more: it may have been a row that was full, with another chunk that came into it. */
const chunkMax = 2 * inRowMax;

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

  /** The first chunk, without so many elements, comes into the row, which has none before it. */
  function fetchFirst(list: Key, without: number): void {
    const position = begin(list) + without;
    const { from, elements } = chunkAt(list, position);
    sql('DELETE FROM lists WHERE number = ? AND position <= ?').do(list.number, from);
    const kept = elements.slice(position - from);
    list.few!.unshift(...kept);
    list.astray = kept.length;
    list.start += without;
    list.size -= without;
  }

  /** The last chunk, without so many elements, comes into the row, which has none behind it. */
  function fetchLast(list: Key, without: number): void {
    const position = end(list) - without;
    const { from, elements } = chunkAt(list, position - 1);
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
    const elements = list.few!.splice(first, count);
    const insert = sql('INSERT INTO lists (number, position, value) VALUES (?, ?, ?)');
    insert.do(list.number, position, JSON.stringify(elements));
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
          'SELECT position, value FROM lists WHERE number = ? AND position > ? AND position < ? ORDER BY position',
        );
        for (const [position, value] of between.all(list.number, from - chunkMax, to) as [number, string][]) {
          const chunk = JSON.parse(value) as string[];
          for (let i = Math.max(0, from - position); i < Math.min(chunk.length, to - position); i++) {
            elements.push(chunk[i]!);
          }
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
      else {
        const { from, elements } = chunkAt(list, list.start + index);
        elements[list.start + index - from] = element;
        const update = sql('UPDATE lists SET value = ? WHERE number = ? AND position = ?');
        update.do(JSON.stringify(elements), list.number, from);
      }
    },
    drop(list, from, count) {
      const { few, astray } = list;
      const there = isInRow(list) ? few!.length : from === 'first' ? astray : few!.length - astray;
      dropInRow(list, from, Math.min(count, there));
      const rest = count - there;
      if (rest <= 0) return;
      const inChunks = list.size - few!.length;
      if (rest < inChunks) return from === 'first' ? fetchFirst(list, rest) : fetchLast(list, rest);
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
