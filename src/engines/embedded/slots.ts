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
 * - A text whose home is taken is put in the first free slot behind it: it is astray. There is no free slot between a
 *   text and its home: where a row goes, those astray behind it move up. So what isn't found before the first free slot
 *   isn't there. The half behind the homes has room for all that may be astray: nothing wraps round.
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
const firstHashed = 2 ** 31;

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
    const ending = lastDigits(member);
    if (ending === -1) return firstHashed + hash(member);
    const block = hash(member, member.length - 2);
    return firstHashed + block - (block % blockSlots) + ending;
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

  /** Where a member is, or where it would be put. */
  function reach(number: number, member: string): { slot: number; found: boolean } {
    for (let slot = homeOf(member); ; slot++) {
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

  /** Puts a member that isn't in its home, where another one is. */
  function putAstray(head: Key, member: string, given: Value | undefined): boolean {
    const { slot, found } = reach(head.number, member);
    if (found) return !updateAt(head.number, slot, member, given);
    head.astray++;
    return insertAt(head.number, slot, member, given);
  }

  /** Moves those up that are astray behind a slot that became free. */
  function close(head: Key, freed: number): void {
    let free = freed;
    for (let slot = free + 1; ; slot++) {
      const member = sql(textAt).get(head.number, slot)?.[0] as string | undefined;
      if (member === undefined) return;
      const home = homeOf(member);
      if (home > free) continue;
      sql(move).do(head.number, free, head.number, slot);
      if (home === free) head.astray--;
      free = slot;
    }
  }

  return {
    get: (head, member) => ask(valueOf, head, member)?.[0],
    has: (head, member) => ask(isThere, head, member) !== undefined,
    put(head, member, isNew, given) {
      const home = homeOf(member);
      if (isNew && insertAt(head.number, home, member, given)) return true;
      if (updateAt(head.number, home, member, given)) return false;
      return (!isNew && insertAt(head.number, home, member, given)) || putAstray(head, member, given);
    },
    remove(head, member) {
      let slot = homeOf(member);
      if (sql(remove).run(head.number, slot, member).changes === 0) {
        if (head.astray === 0) return false;
        const reached = reach(head.number, member);
        if (!reached.found) return false;
        slot = reached.slot;
        sql(remove).do(head.number, slot, member);
        head.astray--;
      }
      if (head.astray > 0 && slot >= firstHashed) close(head, slot);
      return true;
    },
    page(head, from, count) {
      const rows = sql(several).all(head.number, from, head.number, count);
      if (rows.length < count) return { rows, next: 0 };
      let next = (rows.at(-1)![0] as number) + 1;
      // Only behind a free slot nothing will move into what is seen already.
      while (head.astray > 0 && next > firstHashed) {
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

/** What the last two digits of a text say; -1 if it doesn't end so. */
function lastDigits(text: string): number {
  const { length } = text;
  if (length < 2) return -1;
  const tens = text.charCodeAt(length - 2) - 48;
  const ones = text.charCodeAt(length - 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
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
