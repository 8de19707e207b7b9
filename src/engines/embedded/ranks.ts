import type { Statement } from './driver.ts';
import type { Key } from './keys.ts';

/** A place in a sorted set: there is a member, or there might be one. */
export type Place = readonly [score: number, member: string];

/** What is walked through, and what is counted; tests have less. */
export interface RankSizes {
  /** So many members are walked through at most where a set can be counted. */
  readonly walkMax: number;
  /** So many members are a part at most. */
  readonly partMax: number;
  /** So many parts are a group at most. */
  readonly groupMax: number;
}

/** To count a part takes SQLite less time than to walk past a member. */
export const rankSizes: RankSizes = { walkMax: 256, partMax: 64, groupMax: 256 };

/**
 * How many members of a large sorted set come before a place. SQLite could only walk through them; here the number of
 * those in each part is kept, in the same transaction as the members, for sets whose ranks somebody asks for.
 *
 *   ranks   (node, place) → count
 *
 * - `node` is the number of the set, and a level. A row of level 1 is a part of the members, from `place` on to
 *   that of the next row; a row of level 2 a group of parts. The first of each begin at ''.
 * - A part that has grown too large is cut in two; one that is empty goes, unless a group begins with it. So groups.
 * - While the members of a set are being counted, step by step, a row of level 0 says where the next step begins: what
 *   comes before is in the parts, and what comes behind does not change them.
 */
export interface Ranks {
  /** How many members come before this place. Of a set that is counted. */
  before(set: Key, place: Place): number;
  /** A place at the member of this index, or so many members before it. Of a set that is counted. */
  near(set: Key, index: number): { from: Place; left: number };
  /** A member came into the table of members. Of a set that is, or is being counted: so are the next. */
  added(set: Key, place: Place): void;
  /** A member of that table has another place. */
  moved(set: Key, before: Place, after: Place): void;
  /** A member was taken out of it. */
  removed(set: Key, place: Place): void;
  /** Counts so many more members. True if all are. */
  count(set: Key, members: number): boolean;
  /** Forgets what was counted. */
  drop(set: Key): void;
}

/** Whether all members are counted. */
export function isCounted(set: Key): boolean {
  return set.start > 0;
}

/** `sql` prepares a statement. */
export function ranksOf(sql: (text: string) => Statement, { partMax, groupMax }: RankSizes): Ranks {
  /** The part with a place, and how many members come before it from `from` on. */
  function reach(node: number, from: string, to: string): Reached {
    const parts = sql(
      'SELECT part, (SELECT ifnull(sum(count), 0) FROM ranks WHERE node = ? AND place >= ? AND place < part) ' +
        'FROM (SELECT max(place) AS part FROM ranks WHERE node = ? AND place <= ?)',
    );
    const [part, below] = parts.get(node, from, node, to) as [string, number];
    return { part, below };
  }

  /** As `reach`, of the member of an index, which is in one of so many parts. */
  function find(node: number, from: string, index: number, parts: number): Reached {
    const all = sql(
      'SELECT group_concat(count) FROM (SELECT count FROM ranks WHERE node = ? AND place >= ? ORDER BY place LIMIT ?)',
    );
    const counts = (all.get(node, from, parts)![0] as string).split(',');
    let below = 0;
    let i = 0;
    while (i < counts.length - 1 && below + Number(counts[i]) <= index) below += Number(counts[i++]);
    const at = sql('SELECT place FROM ranks WHERE node = ? AND place >= ? ORDER BY place LIMIT 1 OFFSET ?');
    return { part: at.get(node, from, i)![0] as string, below };
  }

  /** The part with a place. */
  function partAt(node: number, place: string): Part {
    const found = sql('SELECT place, count FROM ranks WHERE node = ? AND place <= ? ORDER BY place DESC LIMIT 1');
    return found.get(node, place) as unknown as Part;
  }

  function resize(node: number, part: string, count: number): void {
    sql('UPDATE ranks SET count = ? WHERE node = ? AND place = ?').do(count, node, part);
  }

  function insert(node: number, place: string, count: number): void {
    sql('INSERT INTO ranks (node, place, count) VALUES (?, ?, ?)').do(node, place, count);
  }

  function remove(node: number, from: string, to: string): void {
    sql('DELETE FROM ranks WHERE node = ? AND place BETWEEN ? AND ?').do(node, from, to);
  }

  /** Members in their order. */
  function page(set: Key, from: string, limit: number, offset: number): Place[] {
    const members = sql(
      'SELECT score, member FROM sorted WHERE number = ? AND (score, member) >= (?, ?) ' +
        'ORDER BY score, member LIMIT ? OFFSET ?',
    );
    return members.all(set.number, ...placeOf(from), limit, offset) as unknown as Place[];
  }

  /** The part that counts a member of this place. */
  function partOf(set: Key, place: string): Part | undefined {
    if (set.start < 0) {
      const edge = sql('SELECT 1 FROM ranks WHERE node = ? AND place > ?').get(nodeOf(set, 0), place);
      if (edge === undefined) return undefined;
    }
    return partAt(nodeOf(set, 1), place);
  }

  /** How many parts a group has. */
  function partsIn(set: Key, group: string): number {
    const next = sql('SELECT min(place) FROM ranks WHERE node = ? AND place > ?').get(nodeOf(set, 2), group)![0];
    const parts = sql('SELECT count(*) FROM ranks WHERE node = ? AND place >= ? AND place < ?');
    return parts.get(nodeOf(set, 1), group, next ?? last)![0] as number;
  }

  /** Cuts a part in two, and its group if that is too large then. */
  function cut(set: Key, part: string, count: number, group: string, members: number): void {
    const half = Math.floor(count / 2);
    const middle = page(set, part, 1, half)[0]!;
    resize(nodeOf(set, 1), part, half);
    insert(nodeOf(set, 1), textOf(middle), count - half);
    const parts = partsIn(set, group);
    if (parts <= groupMax) return;
    const behind = sql('SELECT place FROM ranks WHERE node = ? AND place >= ? ORDER BY place LIMIT 1 OFFSET ?');
    const second = behind.get(nodeOf(set, 1), group, parts >> 1)![0] as string;
    const { below } = reach(nodeOf(set, 1), group, second);
    resize(nodeOf(set, 2), group, below);
    insert(nodeOf(set, 2), second, members - below);
  }

  function begin(set: Key): void {
    set.start = -1;
    insert(nodeOf(set, 0), '', 0);
    insert(nodeOf(set, 1), '', 0);
    insert(nodeOf(set, 2), '', 0);
  }

  /** Counts members that stand behind all that are counted: parts and groups have room for more. */
  function append(set: Key, places: readonly Place[]): void {
    let [group, members] = partAt(nodeOf(set, 2), last);
    let parts = partsIn(set, group);
    const size = Math.ceil(partMax * 0.75);
    for (let i = 0; i < places.length; i += size) {
      const part = textOf(places[i]!);
      const count = Math.min(size, places.length - i);
      if (parts >= Math.ceil(groupMax * 0.75)) {
        [group, members, parts] = [part, 0, 0];
        insert(nodeOf(set, 2), group, 0);
      }
      insert(nodeOf(set, 1), part, count);
      members += count;
      parts += 1;
      resize(nodeOf(set, 2), group, members);
    }
  }

  function add(set: Key, place: string, [part, count]: Part): void {
    const [group, members] = partAt(nodeOf(set, 2), place);
    resize(nodeOf(set, 1), part, count + 1);
    resize(nodeOf(set, 2), group, members + 1);
    if (count >= partMax) cut(set, part, count + 1, group, members + 1);
  }

  function take(set: Key, place: string, [part, count]: Part): void {
    const [group, members] = partAt(nodeOf(set, 2), place);
    if (members === 1 && group !== '') {
      remove(nodeOf(set, 1), group, part);
      remove(nodeOf(set, 2), group, group);
      return;
    }
    resize(nodeOf(set, 2), group, members - 1);
    if (count === 1 && part !== group) remove(nodeOf(set, 1), part, part);
    else resize(nodeOf(set, 1), part, count - 1);
  }

  return {
    before(set, place) {
      const to = textOf(place);
      const group = reach(nodeOf(set, 2), '', to);
      const { part, below } = reach(nodeOf(set, 1), group.part, to);
      const members = sql(
        'SELECT count(*) FROM sorted WHERE number = ? AND (score, member) >= (?, ?) AND (score, member) < (?, ?)',
      );
      return group.below + below + (members.get(set.number, ...placeOf(part), ...place)![0] as number);
    },
    near(set, index) {
      const group = find(nodeOf(set, 2), '', index, -1);
      const { part, below } = find(nodeOf(set, 1), group.part, index - group.below, groupMax);
      return { from: placeOf(part), left: index - group.below - below };
    },
    added(set, place) {
      const text = textOf(place);
      const part = partOf(set, text);
      if (part !== undefined) add(set, text, part);
    },
    removed(set, place) {
      const text = textOf(place);
      const part = partOf(set, text);
      if (part !== undefined) take(set, text, part);
    },
    moved(set, before, after) {
      const [from, to] = [textOf(before), textOf(after)];
      const [left, right] = [partOf(set, from), partOf(set, to)];
      if (left?.[0] === right?.[0]) return;
      if (right !== undefined) add(set, to, right); // first: what is taken may take a group with it
      if (left !== undefined) take(set, from, left);
    },
    count(set, members) {
      if (set.start === 0) begin(set);
      const edge = sql('SELECT place FROM ranks WHERE node = ?').get(nodeOf(set, 0))![0] as string;
      const places = page(set, edge, members + 1, 0);
      const next = places.length > members ? places.pop() : undefined;
      append(set, places);
      remove(nodeOf(set, 0), edge, edge);
      if (next === undefined) set.start = 1;
      else insert(nodeOf(set, 0), textOf(next), 0);
      return next === undefined;
    },
    drop(set) {
      if (set.start === 0) return;
      sql('DELETE FROM ranks WHERE node BETWEEN ? AND ?').do(nodeOf(set, 0), nodeOf(set, nodesPerSet - 1));
      set.start = 0;
    },
  };
}

type Part = readonly [place: string, count: number];

interface Reached {
  part: string;
  below: number;
}

const nodesPerSet = 4;

function nodeOf(set: Key, level: number): number {
  return set.number * nodesPerSet + level;
}

/** Behind all places. */
const last = 'g';
const bytes = new DataView(new ArrayBuffer(8));

/** A text for each place, in the same order. */
function textOf([score, member]: Place): string {
  bytes.setFloat64(0, score + 0); // -0 is 0
  const high = bytes.getUint32(0);
  const low = bytes.getUint32(4);
  // Those of positive numbers grow with the number, those of negative ones the other way round.
  return high < signBit ? hex(high + signBit) + hex(low) + member : hex(~high >>> 0) + hex(~low >>> 0) + member;
}

function placeOf(text: string): Place {
  if (text === '') return [-Infinity, ''];
  const high = Number.parseInt(text.slice(0, 8), 16);
  const low = Number.parseInt(text.slice(8, 16), 16);
  bytes.setUint32(0, high >= signBit ? high - signBit : ~high);
  bytes.setUint32(4, high >= signBit ? low : ~low);
  return [bytes.getFloat64(0), text.slice(16)];
}

const signBit = 0x80000000;

function hex(bits: number): string {
  return bits.toString(16).padStart(8, '0');
}
