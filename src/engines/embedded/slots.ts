import type { Row, Statement, Value } from './driver.ts';
import type { Key } from './keys.ts';

/** `sql` prepares a statement. */
type Sql = (text: string) => Statement;

/** A whole number below 2^32 for a text, or for so much of it: another one in every file. */
export type Hash = (text: string, length?: number) => number;

/** So many bits does a hash have; tests have less. */
export const hashBits = 32;

/**
 * Where the members of hashes, sets and sorted sets are: each has a number, the key of its row, made of the number of
 * its collection (30 bits) and of its slot in it (33 bits). On its way to a number among a million SQLite passes fewer
 * pages than to a text, and compares no texts; and a row does without the name of its collection.
 *
 * - The home of an integer below 2^31, such as the id of a message, is that slot. The home of any other text is 2^31 + its
 *   hash; of one that ends in two digits these are the place in a block of 128, and the rest has the hash. So what is
 *   numbered, and added in turn, stands side by side: fewer pages are written.
 * - A text whose home is taken goes astray: far behind all homes it has another place, by its hash, or the first free one
 *   behind that. There is no free slot between the two: where one that is astray goes, those behind it move up. So what
 *   isn't found before the first free slot isn't there. Nothing wraps round, as there is room behind.
 * - The head of a collection counts those astray (`Key.astray`): among fewer than 50,000 there is mostly none, and all
 *   is where its home is.
 */
export interface Members {
  /** The value of a text, if it is there. */
  get(head: Key, text: string): Value | undefined;
  has(head: Key, text: string): boolean;
  /** Whether it was not there. `isNew`: it is probably not, which is tried first. */
  put(head: Key, text: string, isNew: boolean, value?: Value): boolean;
  /** Whether it was there. */
  remove(head: Key, text: string): boolean;
  /**
   * About so many rows from a slot on, by slot: the slot, the text, and its value. `next`: where the next page begins, 0
   * behind the last one. What is behind the page stays there, whatever is added or removed.
   */
  page(head: Key, from: number, count: number): { rows: Row[]; next: number };
}

/** A salt of the file's own: who may choose members can't choose such as have all one home. */
export function hashOf(sql: Sql, bits: number): Hash {
  const surplus = 32 - bits;
  let salt: number | undefined;
  return (text, length = text.length) => {
    salt ??= sql('SELECT salt FROM salt').get()![0] as number;
    let hash = salt;
    for (let i = 0; i < length; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    // The last steps of MurmurHash3 (Austin Appleby), so that each bit depends on all.
    hash = Math.imul(hash ^ length, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> surplus;
  };
}

/** The rows of a collection with a number, which is to be given twice. */
export const rowsOfNumber = 'id BETWEEN (? << 33) AND ((? << 33) | 8589934591)';

/** Where to insert: the numbers of collection and slot. Computed by SQLite, as JavaScript's numbers end before. */
const id = '((? << 33) | ?)';
const slotOfId = '(id & 8589934591)';
/** The homes of texts, and the places of those that are astray. */
const firstHashed = 2 ** 31;
const firstAstray = firstHashed + 2 ** 32;

/** The members in a table, whose column `text` has their text. */
export function membersOf(sql: Sql, hash: Hash, table: string, text: string, value?: string): Members {
  const column = value ?? text;
  const at = `FROM ${table} WHERE id = ${id}`;
  const isThere = `SELECT 1 ${at} AND ${text} = ?`;
  const valueOf = `SELECT ${column} ${at} AND ${text} = ?`;
  const textAt = `SELECT ${text} ${at}`;
  const update = `UPDATE ${table} SET ${column} = ? WHERE id = ${id} AND ${text} = ?`;
  const insert =
    value === undefined
      ? `INSERT INTO ${table} (id, ${text}) VALUES (${id}, ?) ON CONFLICT (id) DO NOTHING`
      : `INSERT INTO ${table} (id, ${text}, ${value}) VALUES (${id}, ?, ?) ON CONFLICT (id) DO NOTHING`;
  const remove = `DELETE ${at} AND ${text} = ?`;
  const move = `UPDATE ${table} SET id = ${id} WHERE id = ${id}`;
  const columns = value === undefined ? text : `${text}, ${value}`;
  const one = `SELECT ${slotOfId}, ${columns} ${at}`;
  const several =
    `SELECT ${slotOfId}, ${columns} FROM ${table} ` +
    `WHERE id BETWEEN ${id} AND ((? << 33) | 8589934591) ORDER BY id LIMIT ?`;

  function homeOf(member: string): number {
    const own = ownSlot(member);
    if (own !== -1) return own;
    const end = endOfDigits(member);
    if (end === -1) return firstHashed + hash(member);
    // All bits the other way round: else `order 5` would mostly have the home of one of `order 500` to `order 599`.
    const block = ~hash(member, end - 2) >>> 0;
    return firstHashed + block - (block % blockSlots) + (digitAt(member, end - 2) * 10 + digitAt(member, end - 1));
  }

  /** Of a member that is astray. Half of what is behind all homes stays free. */
  function placeOf(member: string): number {
    return firstAstray + (hash(member) >>> 2);
  }

  function insertAt(number: number, slot: number, member: string, given: Value | undefined): boolean {
    const statement = sql(insert);
    const { changes } =
      given === undefined ? statement.run(number, slot, member) : statement.run(number, slot, member, given);
    return changes !== 0;
  }

  /** False if this member isn't in this slot. */
  function updateAt(number: number, slot: number, member: string, given: Value | undefined): boolean {
    if (given === undefined) return sql(isThere).get(number, slot, member) !== undefined;
    return sql(update).run(given, number, slot, member).changes !== 0;
  }

  /** Where a member is that is not in its home, or where it would be put if it went astray. */
  function reach(number: number, member: string): { slot: number; found: boolean } {
    for (let slot = placeOf(member); ; slot++) {
      const there = sql(textAt).get(number, slot)?.[0];
      if (there === undefined || there === member) return { slot, found: there === member };
    }
  }

  /** What a statement tells of a member. */
  function ask(statement: string, { number, astray }: Key, member: string): Row | undefined {
    const row = sql(statement).get(number, homeOf(member), member);
    if (row !== undefined || astray === 0) return row;
    const { slot, found } = reach(number, member);
    return found ? sql(statement).get(number, slot, member) : undefined;
  }

  /** Moves those up that are astray behind a slot that became free. */
  function close(number: number, freed: number): void {
    let free = freed;
    for (let slot = free + 1; ; slot++) {
      const member = sql(textAt).get(number, slot)?.[0] as string | undefined;
      if (member === undefined) return;
      if (placeOf(member) > free) continue;
      sql(move).do(number, free, number, slot);
      free = slot;
    }
  }

  return {
    get: (head, member) => ask(valueOf, head, member)?.[0],
    has: (head, member) => ask(isThere, head, member) !== undefined,
    put(head, member, isNew, given) {
      const { number, astray } = head;
      const home = homeOf(member);
      if (isNew && astray === 0 && insertAt(number, home, member, given)) return true;
      if (updateAt(number, home, member, given)) return false;
      let far = astray === 0 ? undefined : reach(number, member);
      if (far?.found === true) return !updateAt(number, far.slot, member, given);
      if (insertAt(number, home, member, given)) return true;
      far ??= reach(number, member);
      head.astray++;
      return insertAt(number, far.slot, member, given);
    },
    remove(head, member) {
      const { number } = head;
      if (sql(remove).run(number, homeOf(member), member).changes !== 0) return true;
      if (head.astray === 0) return false;
      const { slot, found } = reach(number, member);
      if (!found) return false;
      sql(remove).do(number, slot, member);
      head.astray--;
      close(number, slot);
      return true;
    },
    page(head, from, count) {
      const rows = sql(several).all(head.number, from, head.number, count);
      if (rows.length < count) return { rows, next: 0 };
      let next = (rows.at(-1)![0] as number) + 1;
      // Only behind a free slot nothing will move into what is seen already.
      while (next > firstAstray) {
        const row = sql(one).get(head.number, next);
        if (row === undefined) break;
        rows.push(row);
        next++;
      }
      return { rows, next };
    },
  };
}

/** A power of two, above all that two digits can be. */
const blockSlots = 128;

/** Where the two digits end in which a text ends, but for a quotation mark, as members may be JSON; -1 if it doesn't. */
function endOfDigits(text: string): number {
  const end = text.charCodeAt(text.length - 1) === 34 ? text.length - 1 : text.length;
  return isDigit(digitAt(text, end - 1)) && isDigit(digitAt(text, end - 2)) ? end : -1;
}

/** NaN where there is nothing. */
function digitAt(text: string, place: number): number {
  return text.charCodeAt(place) - 48;
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}

/** The slot of an integer below 2^31, written the one canonical way; -1 for any other text. */
function ownSlot(text: string): number {
  const { length } = text;
  if (length === 0 || length > 10) return -1;
  let number = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9 || (number === 0 && i > 0)) return -1;
    number = number * 10 + digit;
  }
  return number < firstHashed ? number : -1;
}
