import { invalidArgument } from './errors.ts';
import { limits } from './limits.ts';

/** Where a lock lives: each function of the owner key alone, so that one owner key never has two queues. */
export interface LockNames {
  owner: string;
  queue: string;
  waits: string;
  fences: string;
  /** Of a lock over several servers. */
  wanted: string;
  /** Programs that do not use lockstep may lock it too: they ask again and again, and stand in no queue. */
  shared: boolean;
}

/** Where a counter lives, and who watches it. */
export interface CounterNames {
  counter: string;
  watchers: string;
}

/** Where a value lives, and who watches it: see operations/watch.ts. */
export interface ValueNames {
  value: string;
  watchers: string;
}

/** Where a map lives, the ends of those of its entries that expire, and who watches it. */
export interface MapNames {
  map: string;
  expiry: string;
  watchers: string;
}

export interface SetNames {
  set: string;
  watchers: string;
}

export interface SortedNames {
  sorted: string;
  watchers: string;
}

/** Where a list lives, and those who wait to take from it: see operations/list.ts. */
export interface ListNames {
  list: string;
  watchers: string;
  waiting: string;
  taken: string;
  grants: string;
  returned: string;
}

/** Where statistics live. */
export interface StatsNames {
  stats: string;
  /** Of the window that begins then: ms since 1970. */
  window(startMs: number): string;
}

/** What transactions of a space have in common: see operations/transaction.ts. */
export interface CommitNames {
  commits: string;
  lock: string;
  queue: string;
}

/** Where a queue lives, in the order in which its operations take their keys: see operations/queue.ts. */
export type QueueNames = readonly string[];

/** Where a topic lives: see operations/topic.ts; the keys of a group stand behind those of its topic. */
export type TopicNames = readonly string[];

/** The keys of one space: the public layout, as docs/keys.md states it. */
export interface SpaceKeys {
  readonly fences: string;
  readonly sessions: string;
  readonly commit: CommitNames;
  /** What all owner keys of named locks begin with; the rest is the name. */
  readonly locks: string;
  /** What all keys of lists begin with. */
  readonly lists: string;
  lock(name: string): LockNames;
  /**
   * A lock whose owner key is used verbatim, to share it with programs that don't use lockstep.
   * Throws `INVALID_ARGUMENT` for a key that can't have companions in its own slot, or that the layout has for
   * something else.
   */
  lockAt(key: string): LockNames;
  counter(name: string): CounterNames;
  value(name: string): ValueNames;
  map(name: string): MapNames;
  set(name: string): SetNames;
  sorted(name: string): SortedNames;
  list(name: string): ListNames;
  stats(name: string): StatsNames;
  queue(name: string): QueueNames;
  topic(name: string): TopicNames;
  /** A group of a topic; its name may be any, but has no `:`. */
  group(topic: string, name: string): QueueNames;
}

/**
 * The keys of `space`, each `{space}:KIND` or `{space}:KIND:NAME`. A kind holds no `:`, so whatever characters a name
 * holds, two things never share a key.
 */
export function keysOf(space: string): SpaceKeys {
  checkSpace(space);
  const at = `{${space}}:`;
  const keys: SpaceKeys = {
    fences: `${at}fence`,
    sessions: `${at}sessions`,
    commit: { commits: `${at}commits`, lock: `${at}commit-lock`, queue: `${at}commit-queue` },
    locks: `${at}lock:`,
    lists: `${at}list:`,
    lock: (name) => ({
      owner: `${at}lock:${name}`,
      queue: `${at}lock-queue:${name}`,
      waits: `${at}lock-waits:${name}`,
      wanted: `${at}lock-wanted:${name}`,
      fences: keys.fences,
      shared: false,
    }),
    lockAt: verbatim,
    counter: (name) => ({ counter: `${at}counter:${name}`, watchers: `${at}watchers:counter:${name}` }),
    value: (name) => ({ value: `${at}value:${name}`, watchers: `${at}watchers:value:${name}` }),
    map: (name) => ({
      map: `${at}map:${name}`,
      expiry: `${at}map-expiry:${name}`,
      watchers: `${at}watchers:map:${name}`,
    }),
    set: (name) => ({ set: `${at}set:${name}`, watchers: `${at}watchers:set:${name}` }),
    sorted: (name) => ({ sorted: `${at}sorted:${name}`, watchers: `${at}watchers:sorted:${name}` }),
    list: (name) => ({
      list: `${at}list:${name}`,
      watchers: `${at}watchers:list:${name}`,
      waiting: `${at}list-waiting:${name}`,
      taken: `${at}list-taken:${name}`,
      grants: `${at}list-grants:${name}`,
      returned: `${at}list-returned:${name}`,
    }),
    stats: (name) => ({ stats: `${at}stats:${name}`, window: (startMs) => `${at}stats-window:${name}:${startMs}` }),
    queue: (name) => queueKinds.map((kind) => `${at}queue${kind}:${name}`),
    topic: (name) => [`${at}topic:${name}`, `${at}topic-log:${name}`, `${at}topic-waiting:${name}`],
    group: (topic, name) => queueKinds.map((kind) => `${at}group${kind}:${name}:${topic}`),
  };
  return keys;
}

const queueKinds = [
  '',
  '-messages',
  '-line',
  '-ranked',
  '-delayed',
  '-leases',
  '-dead',
  '-deaths',
  '-groups',
  '-links',
  '-ids',
  '-waiting',
  '-room',
  '-consumers',
] as const;

/** Those of a queue's keys that operations/line.ts is given, in its order. */
export function lineKeysOf(queue: QueueNames): string[] {
  return lineKinds.map((kind) => queue[queueKinds.indexOf(kind)]!);
}

const lineKinds = ['', '-messages', '-line', '-waiting', '-leases', '-delayed', '-ranked', '-room'] as const;

/** The places of two of them in `QueueNames`. */
export const queueKey = 0;
export const queueLeasesKey = 5;

/** Whether a key holds the leases of the deliveries of a queue, or of a topic's group. */
export function isQueueLeases(key: string): boolean {
  return /^\{[^{}]+\}:(?:queue|group)-leases:/.test(key);
}

/** The space of a key of the layout. */
export function spaceOf(key: string): string {
  return key.slice(1, key.indexOf('}'));
}

/**
 * Checks the name of a lock, counter, map, …: a well-formed text of 1 to `bytesMax` UTF-8 bytes without control
 * characters. Throws `INVALID_ARGUMENT`, which calls it `argument`.
 */
export function checkName(
  argument: string,
  name: unknown,
  bytesMax: number = limits.nameBytesMax,
): asserts name is string {
  if (typeof name !== 'string' || name === '') throw invalidArgument(argument, name, 'a text that is not empty');
  // No UTF-16 unit takes more than three bytes.
  if (name.length * 3 > bytesMax && Buffer.byteLength(name) > bytesMax) {
    throw invalidArgument(argument, name, `at most ${bytesMax} bytes long in UTF-8, not ${Buffer.byteLength(name)}`);
  }
  // Half a surrogate pair would be stored as U+FFFD: two names would be one.
  if (unfit.test(name)) {
    throw invalidArgument(argument, name, 'free of control characters and of halves of surrogate pairs');
  }
}

/** Checks the name of a space: as other names, and without braces, which would change its slot in a cluster. */
export function checkSpace(space: unknown): asserts space is string {
  checkName('space', space, limits.spaceBytesMax);
  if (/[{}]/.test(space)) throw invalidArgument('space', space, 'free of { and }');
}

const unfit = /[\p{Cc}\p{Cs}]/u;

/** The owner key of a named lock, of any space. */
const ownLock = /^\{([^{}]+)\}:lock:(.+)$/s;
/** What the layout has for something else than an owner. */
const taken =
  /^(?:\{[^{}]+\}:(?:lock-queue:|lock-waits:|lock-wanted:|counter:|value:|map:|map-expiry:|set:|sorted:|list:|list-(?:waiting|taken|grants|returned):|stats:|stats-window:|(?:queue|topic|group)(?:-[a-z]+)?:|watchers:|(?:fence|sessions|commits|commit-lock|commit-queue)$)|lock-(?:queue|waits|wanted|fence):)/;

function verbatim(key: string): LockNames {
  const own = typeof key === 'string' ? ownLock.exec(key) : null;
  if (own !== null) {
    checkName('key', own[2]); // its name, as the key of a long one is longer than a key may be
    return keysOf(own[1]!).lock(own[2]);
  }
  checkName('key', key);
  if (taken.test(key)) throw invalidArgument('key', key, 'a key that lockstep itself does not use for something else');
  const tagged = withTag(key);
  return {
    owner: key,
    queue: `lock-queue:${tagged}`,
    waits: `lock-waits:${tagged}`,
    fences: `lock-fence:${tagged}`,
    wanted: `lock-wanted:${tagged}`,
    shared: true,
  };
}

/**
 * `key` such that it has the same slot in a cluster wherever it stands in a longer key. A slot is computed from what
 * stands between the first `{` and the first `}` after it, if there is something, else from the whole key: a key with
 * such a hash tag keeps it behind any prefix without braces, and a key without is put between braces as a whole.
 */
function withTag(key: string): string {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open);
  if (close > open + 1) {
    // '{a}' would share its companions with 'a'.
    if (open === 0 && close === key.length - 1) throw invalidArgument('key', key, 'more than a hash tag');
    return key;
  }
  if (key.includes('}')) throw invalidArgument('key', key, 'free of } outside of a hash tag such as {orders}');
  return `{${key}}`;
}
