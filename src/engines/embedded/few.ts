import { compareBytes } from '../../base/compare-bytes.ts';
import type { Row } from './driver.ts';
import type { Key } from './keys.ts';
import type { Members } from './slots.ts';

/**
 * The members of a collection that has few of them, which stand in the row of its key: what a transaction does to
 * several such collections is then mostly one page, and no search for their rows (Redis keeps small collections in a
 * listpack likewise). Of a hash each field is followed by its value, of a sorted set each member by its score, in order. Of a
 * list it is what stands at its ends: see lists.ts.
 */
export type Few = (string | number)[];

/**
 * With more items, or a longer row, each member has a row of its own; until the collection is gone, so that one whose size
 * comes and goes is not moved each time. What is longer than a quarter of a page SQLite puts into pages besides that of the key.
 */
const itemsMax = 16;
const rowBytesMax = 208;

/** Whether the row of a key has room for what is to stand in it: so many items at most. */
export function fitsRow({ key, few }: Key, most: number = itemsMax): boolean {
  if (few === undefined || few.length === 0) return true;
  if (few.length > most) return false;
  let bytes = key.length;
  for (const item of few) {
    if (typeof item === 'string') bytes += bytesInJson(item);
    else if (Number.isFinite(item)) bytes += String(item).length + 1;
    else return false; // JSON has no such number
  }
  return bytes <= rowBytesMax;
}

/** So many bytes, with the comma behind it; more than a row has room for where it is longer anyway. */
function bytesInJson(text: string): number {
  let bytes = text.length + 3;
  if (bytes > rowBytesMax) return bytes;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === quotationMark || unit === backslash) bytes += 1;
    else if (unit < 0x20) bytes += 5;
    else if (unit > 0x7f) bytes += unit > 0x7ff ? 2 : 1;
  }
  return bytes;
}

const quotationMark = 0x22;
const backslash = 0x5c;

/** How many items a member takes, by its place in `kinds`. */
export const widths: readonly number[] = [0, 2, 1, 1, 2];

/** `Members` of this kind that stand in the row of their key. `spill` gives each a row; `changed` notes a change. */
export function withFew(
  members: Members,
  kind: number,
  spill: (head: Key) => void,
  changed: (head: Key) => void,
): Members {
  const width = widths[kind]!;

  /** -1 if it is not there. */
  function placeIn(few: Few, text: string): number {
    for (let i = 0; i < few.length; i += width) if (few[i] === text) return i;
    return -1;
  }

  return {
    get(head, text) {
      if (head.few === undefined) return members.get(head, text);
      const place = placeIn(head.few, text);
      return place === -1 ? undefined : head.few[place + 1];
    },
    has: (head, text) => (head.few === undefined ? members.has(head, text) : placeIn(head.few, text) !== -1),
    put(head, text, isNew, value) {
      const { few } = head;
      if (few === undefined) return members.put(head, text, isNew, value);
      const place = placeIn(few, text);
      if (width === 1) {
        if (place !== -1) return false;
        few.push(text);
      } else putInto(few, place, text, value as string | number);
      changed(head);
      if (!fitsRow(head)) spill(head);
      return place === -1;
    },
    remove(head, text) {
      if (head.few === undefined) return members.remove(head, text);
      const place = placeIn(head.few, text);
      if (place === -1) return false;
      head.few.splice(place, width);
      changed(head);
      return true;
    },
    page(head, from, count) {
      if (head.few === undefined) return members.page(head, from, count);
      const rows =
        width === 1 ? head.few.map((text): Row => [0, text]) : pairsOf(head.few).map((pair): Row => [0, ...pair]);
      return { rows, next: 0 };
    },
  };
}

/** Each field with its value, or each member with its score. */
export function pairsOf(few: Few): Row[] {
  const pairs: Row[] = [];
  for (let i = 0; i < few.length; i += 2) pairs.push([few[i]!, few[i + 1]!]);
  return pairs;
}

/** `place`: where it is now, -1 if it is not there. */
function putInto(few: Few, place: number, text: string, value: string | number): void {
  if (typeof value !== 'number') {
    if (place === -1) few.push(text, value);
    else few[place + 1] = value;
    return;
  }
  if (place !== -1) few.splice(place, 2);
  let behind = 0;
  while (behind < few.length && isBefore(few, behind, value, text)) behind += 2;
  few.splice(behind, 0, text, value);
}

/** Whether the member at a place comes before a score and member. */
function isBefore(few: Few, place: number, score: number, member: string): boolean {
  const its = few[place + 1] as number;
  return its < score || (its === score && compareBytes(few[place] as string, member) < 0);
}
