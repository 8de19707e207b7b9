/**
 * The vocabulary of operations: a transactional view of the store that speaks Redis.
 *
 * An operation is a pure function over `Tx`. The memory and embedded engines run it in the process, inside a
 * write transaction; the Redis engine runs the same function as Lua. What an operation may use is therefore
 * little, and `test/house` checks it:
 *
 * - in and out go strings, integers below 2^53 and flat arrays of them; a fraction goes out as text, by `tx.decimal`;
 * - no Date, Math.random, closures over state, regular expressions, string methods, template literals with numbers;
 * - comparisons are explicit (`=== undefined`, `=== 0`): 0 and '' are true in Lua;
 * - a number becomes text by `tx.text`, a text is taken apart by `tx.part`: Lua would print 1e+15;
 * - every key comes in by its caller; every loop is bounded.
 */
export interface Tx {
  // Time
  /** The store's clock: µs since 1970. The same within one operation. */
  nowUs(): number;

  // Keys of any type. A key that has expired is absent.
  /** DEL of one key: 1 if it was there. */
  del(key: string): number;
  exists(key: string): boolean;
  /** EXISTS of two keys: whether one of them is there, at the price of one command. */
  existsEither(key: string, other: string): boolean;
  /** EXISTS of any number of keys, at least one. */
  existsAny(keys: readonly string[]): boolean;
  /** TYPE: `none`, `string`, `hash`, `list`, `set`, `zset`. */
  type(key: string): string;
  /** PEXPIRE: 1 if the key was there. Replaces an earlier expiry. `ms` > 0. */
  pexpire(key: string, ms: number): number;
  /** PERSIST: 1 if the key had an expiry. */
  persist(key: string): number;
  /** PTTL: ms left; -1 without expiry, -2 without key. */
  pttl(key: string): number;

  // Strings
  get(key: string): string | undefined;
  /** SET: replaces any value and clears its expiry. */
  set(key: string, value: string): void;
  /** GETSET: as `set`; what was there, which must be a string. */
  getset(key: string, value: string): string | undefined;
  /** SET … PX. `ms` > 0, as text: it comes as such, mostly. */
  setPx(key: string, value: string, ms: string): void;
  /**
   * INCRBY: the new value. What is there (absent: 0), `by` and the sum are integers of 64 bits, as text; the caller has
   * made sure of that (`within`). Keeps an expiry.
   */
  incrby(key: string, by: string): string;

  // Hashes
  hget(key: string, field: string): string | undefined;
  /** HMGET: by field, its value, or false. At least one field, at most 5,000. */
  hmget(key: string, fields: readonly string[]): (string | false)[];
  /** HMGET of the fields that stand in `texts` from `from` to before `stop`: at least one, at most 5,000. */
  hmgetWithin(key: string, texts: readonly string[], from: number, stop: number): (string | false)[];
  hexists(key: string, field: string): boolean;
  /** HSET of one field: 1 if it is new. */
  hset(key: string, field: string, value: string): number;
  /** HMSET: fields and values, flat. At least one field, at most 2,500. */
  hmset(key: string, entries: readonly string[]): void;
  /** HDEL of one field: 1 if it was there. */
  hdel(key: string, field: string): number;
  /** HDEL of several fields, 1 to 5,000: how many were there. */
  hdelAll(key: string, fields: readonly string[]): number;
  /** HINCRBY: the new value. What is there (absent: 0) and the sum are integers below 2^53; fails where it is another text. */
  hincrby(key: string, field: string, by: number): number;
  hlen(key: string): number;
  /** HGETALL: fields and values, flat. For hashes that the operation itself keeps small. In no order. */
  hgetall(key: string): string[];
  /** HVALS: for hashes that the operation itself keeps small. In no order. */
  hvals(key: string): string[];

  // Lists
  /** LPUSH, RPUSH of one element: the new length. */
  lpush(key: string, element: string): number;
  rpush(key: string, element: string): number;
  /** RPUSH of several elements, 1 to 5,000: the new length. */
  rpushAll(key: string, elements: readonly string[]): number;
  lpop(key: string): string | undefined;
  rpop(key: string): string | undefined;
  /** LPOP of up to `count` elements, at least 1, from the first on. Bounded by who calls. */
  lpopMany(key: string, count: number): string[];
  llen(key: string): number;
  /** LRANGE: both ends inclusive, negative from the end. */
  lrange(key: string, from: number, to: number): string[];
  /** LSET: the index must be there. Negative from the end. */
  lset(key: string, index: number, element: string): void;
  /** LTRIM: keeps what LRANGE would give. */
  ltrim(key: string, from: number, to: number): void;

  // Sets
  /** SADD, SREM of one member: 1 if that changed the set. */
  sadd(key: string, member: string): number;
  srem(key: string, member: string): number;
  sismember(key: string, member: string): boolean;
  scard(key: string): number;
  /** SPOP of one member: which one is not said. */
  spop(key: string): string | undefined;
  /** SUNION, SINTER and SDIFF (the first without all others), in no order; bounded by who calls. */
  sunion(keys: readonly string[]): string[];
  sinter(keys: readonly string[]): string[];
  sdiff(keys: readonly string[]): string[];

  // Sorted sets, ordered by score, then by the bytes of the member. Scores are numbers as JavaScript has them, -0 is 0.
  /** ZADD of one member: 1 if it is new, 0 if only its score changed. */
  zadd(key: string, score: number, member: string): number;
  /** ZADD of several members, 1 to 2,500: how many are new. `entries`: the score of each, as `text` makes it, and the member. */
  zaddAll(key: string, entries: readonly string[]): number;
  /** ZADD NX: 1 if it is new; a member that is there keeps its score. */
  zaddNew(key: string, score: number, member: string): number;
  /** ZREM of one member: 1 if it was there. */
  zrem(key: string, member: string): number;
  /** ZPOPMIN of one member: the first. */
  zpopmin(key: string): string | undefined;
  /** ZINCRBY: the new score. Their sum must be a number and finite. */
  zincrby(key: string, by: number, member: string): number;
  zscore(key: string, member: string): number | undefined;
  /** ZRANK: how many come before it. */
  zrank(key: string, member: string): number | undefined;
  zcard(key: string): number;
  /** ZRANGE by rank: members, both ends inclusive, negative from the end. */
  zrange(key: string, from: number, to: number): string[];
  /** ZRANGE … WITHSCORES: members, each followed by its score as text for `number`. */
  zrangeWithScores(key: string, from: number, to: number): string[];
  /** ZRANGE … BYSCORE LIMIT 0 `limit`: members with `from` <= score <= `to`. */
  zrangeByScore(key: string, from: number, to: number, limit: number): string[];
  /** ZRANGE … BYSCORE REV LIMIT 0 `limit`: the same from the highest score down. */
  zrevrangeByScore(key: string, to: number, from: number, limit: number): string[];
  /** These two … WITHSCORES: members, each followed by its score as text for `number`. */
  zrangeByScoreWithScores(key: string, from: number, to: number, limit: number): string[];
  zrevrangeByScoreWithScores(key: string, to: number, from: number, limit: number): string[];
  /** ZCOUNT: how many have `from` <= score <= `to`. */
  zcount(key: string, from: number, to: number): number;
  /** ZRANGE … BYSCORE REV LIMIT 0 1: the last member with a score below `score`. */
  zbefore(key: string, score: number): string | undefined;

  // Waking
  /**
   * Puts a message into the inbox of a session when the operation is done. False if the store knows that no such
   * session listens; true is no promise.
   */
  wake(session: string, message: string): boolean;

  // Text and numbers, which the two languages treat differently
  /** An integer as decimal text. */
  text(integer: number): string;
  /** As `text`, of so many integers in a row, none below 0. */
  texts(from: number, count: number): string[];
  /** The integer that a decimal text stands for; undefined where it is not one of less than 2^53 in size. */
  integer(text: string): number | undefined;
  /**
   * Whether a text is an integer of any size, written the one canonical way, with `from` <= it <= `to`, which are such
   * integers.
   */
  within(text: string, from: string, to: string): boolean;
  /** Any number as text that stands for exactly it: `%.17g` of C. */
  decimal(number: number): string;
  /** The number that such a text, or JavaScript's own, stands for. Not for any other text. */
  number(text: string): number;
  /** Part 0 of a text, at less cost. */
  firstPart(text: string): string;
  /** Part `index` (from 0) of a text whose parts are separated by `:`; '' past the end. */
  part(text: string, index: number): string;
  /** What follows part `index` - 1: all parts from `index` on, with the `:` between them; '' past the end. */
  rest(text: string, index: number): string;
  startsWith(text: string, prefix: string): boolean;
  /** Whether `text`, of ASCII, is as long as `digits` and stands before it: a smaller number of as many digits, if it is one. */
  isSmaller(text: string, digits: string): boolean;
  /** The SHA-1 of a text, as 40 hexadecimal digits. */
  sha1hex(text: string): string;
}

/** What comes out of an operation. */
export type Reply = string | number | readonly (string | number)[];

/**
 * One atomic step. `keys` and `args` give names to what the Redis engine passes by position: the order here is the
 * order of KEYS and ARGV.
 */
export interface Operation<Keys, Args, R extends Reply> {
  /** `file.export`, such as `lock.acquire`. */
  readonly name: string;
  readonly keys: readonly (keyof Keys & string)[];
  /**
   * A server reads and keeps each argument at a price, so the usual call should have few: `?` is for those at the end that
   * mostly are 0 or '', which then are not sent; a `setting` has few values in all, and is written into the script.
   */
  readonly args: {
    readonly [Name in keyof Args & string]: Args[Name] extends number
      ? 'integer' | 'integer?' | 'number' | 'setting'
      : 'text' | 'text?';
  };
  /** True where the step writes nothing: it may then run without the store's write lock. */
  readonly readOnly?: true;
  readonly step: (tx: Tx, keys: Keys, args: Args) => R;
}

/** An atomic step over any number of keys and texts of one shape, for batches. */
export interface BatchOperation<R extends Reply> {
  readonly name: string;
  readonly batch: true;
  readonly readOnly?: true;
  readonly step: (tx: Tx, keys: readonly string[], args: readonly string[]) => R;
}
