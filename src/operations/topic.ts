/**
 * A topic: a log of messages, of which everybody reads all, and groups, which share them as the consumers of a queue do.
 *
 *   topic    hash        `seq`, the number of the last message; `group:NAME`, the last message that the group has taken in
 *   log      list, PX    `publishedMs:key:payload` of the messages that are kept, the last one being `seq`
 *   waiting  sorted set  who is to be woken at the next message, by arrival: `session:number:MAIL`, MAIL being the key that
 *                        the mail is about: `topic` for who reads alone, `queue` of its group for who belongs to one
 *
 * A group is a queue, with the keys and the steps of operations/queue.ts. Whoever claims from it first takes in from the
 * log as much as it has room for: the id of a message in it is its number in the log, its group there is the key that it
 * was published with, and its own id is how many messages before it were cut off before the group took them in, or ''.
 *
 * - A publisher waits for nobody, and does not know who reads. It cuts off what is not kept, some messages at a time.
 * - Nothing is skipped but what was cut off, and whoever is concerned is told how many.
 * - What a group has taken in stays until it is acknowledged or discarded, whatever is kept in the log.
 */
import {
  checkKinds,
  claimFrom,
  isPaused,
  joinGroup,
  leaveQueue,
  type QueueKeys,
  queueAt,
  settleAll,
  wakeForReady,
  wakeWaiting,
} from './queue.ts';
import type { BatchOperation, Tx } from './tx.ts';

/** Messages that one step cuts off, beside as many as it publishes. */
const cutMax = 100;
/** Of those who wait, so many are looked at when something is published: the others hear of the next message. */
const wokenMax = 1_000;
/** What a group has taken in and nobody has done, at most, without what is dead. */
const aheadMax = 10_000;
/** How often one step looks for messages whose key is free. */
const turnsMax = 4;

export interface TopicKeys {
  topic: string;
  log: string;
  waiting: string;
}

/** The keys of a topic in the order in which they are passed, from `first` on; those of a group stand behind them. */
export function topicAt(keys: readonly string[], first: number): TopicKeys {
  return { topic: keys[first]!, log: keys[first + 1]!, waiting: keys[first + 2]! };
}

/** How many messages are kept, and for how long after the last one: ms; 0: as long as they are not too many. */
export interface Keeping {
  count: number;
  ms: number;
}

// Publishing

/**
 * Adds messages, in order. The number of the last one. args: how many are kept, for how many ms (0: no matter), then key
 * ('': none, no `:`) and payload of each.
 */
export const publish: BatchOperation<number> = {
  name: 'topic.publish',
  batch: true,
  step(tx, keys, args) {
    const keeping = { count: numberAt(tx, args, 0), ms: numberAt(tx, args, 1) };
    return publishAll(tx, topicAt(keys, 0), keeping, args, 2);
  },
};

/** `messages`: key and payload of each, from `at` on. The number of the last one. */
export function publishAll(
  tx: Tx,
  topic: TopicKeys,
  keeping: Keeping,
  messages: readonly string[],
  at: number,
): number {
  const stored = tx.hget(topic.topic, 'seq');
  if (stored === undefined) checkTopic(tx, topic);
  const stamp = tx.text(Math.floor(tx.nowUs() / 1_000));
  const count = Math.floor((messages.length - at) / 2);
  let length = 0;
  for (let i = at; i + 1 < messages.length; i += 2) {
    length = tx.rpush(topic.log, stamp + ':' + messages[i]! + ':' + messages[i + 1]!);
  }
  const seq = (tx.integer(stored ?? '0') ?? 0) + count;
  tx.hset(topic.topic, 'seq', tx.text(seq));
  cut(tx, topic, keeping, length, count + cutMax);
  wakeReaders(tx, topic, count);
  return seq;
}

/** A script of Redis that fails midway leaves what it wrote: so a new topic first looks whether its keys are free. */
function checkTopic(tx: Tx, topic: TopicKeys): void {
  tx.llen(topic.log);
  tx.zcard(topic.waiting);
}

/** Cuts off up to `most` messages that are not kept. What nobody publishes behind goes all at once, when its time is over. */
function cut(tx: Tx, topic: TopicKeys, keeping: Keeping, length: number, most: number): void {
  let left = most;
  const over = Math.min(length - keeping.count, left);
  if (over > 0) {
    tx.ltrim(topic.log, over, -1);
    left = left - over;
  }
  if (keeping.ms === 0) {
    tx.persist(topic.log);
    return;
  }
  tx.pexpire(topic.log, keeping.ms);
  const since = Math.floor(tx.nowUs() / 1_000) - keeping.ms;
  for (let i = 0; i < left; i++) {
    const first = tx.lrange(topic.log, 0, 0)[0];
    if (first === undefined || (tx.integer(tx.part(first, 0)) ?? 0) > since) return;
    tx.lpop(topic.log);
  }
}

/** All who read alone hear of it, and of each group as many as messages came; those who are dead are passed by. */
function wakeReaders(tx: Tx, topic: TopicKeys, messages: number): void {
  const readers = tx.zrange(topic.waiting, 0, wokenMax - 1);
  const heard: string[] = [];
  for (const reader of readers) {
    const mail = tx.rest(reader, 2);
    if (mail === topic.topic || messages >= readers.length || countOf(heard, mail) < messages) {
      tx.zrem(topic.waiting, reader);
      const session = tx.part(reader, 0);
      if (tx.wake(session, 'ready ' + session + ':' + tx.part(reader, 1) + ' 0 ' + mail)) heard.push(mail);
    }
  }
}

function countOf(texts: readonly string[], wanted: string): number {
  let count = 0;
  for (const text of texts) if (text === wanted) count = count + 1;
  return count;
}

// Reading alone

/**
 * Where a reader begins: the number of its first message. args: `latest`, `earliest`, or the number of the message behind
 * which it begins; then the field of its group ('': it reads alone). A group that has begun goes on where it was.
 */
export const begin: BatchOperation<number> = {
  name: 'topic.begin',
  batch: true,
  step(tx, keys, args) {
    const topic = topicAt(keys, 0);
    if (args[1] === '') return startOf(tx, topic, args[0]!);
    return beginGroup(tx, topic, queueAt(keys, 3), args[1]!, args[0]!) + 1;
  },
};

function startOf(tx: Tx, topic: TopicKeys, from: string): number {
  if (from === 'latest') return seqOf(tx, topic) + 1;
  if (from === 'earliest') return firstOf(tx, topic);
  // Behind the end is where nothing is yet, or what was there was lost with its store.
  return Math.min(tx.integer(from) ?? 0, seqOf(tx, topic)) + 1;
}

/**
 * Messages from a number on. args: the number, how many at most, and the reader that waits where there are none
 * (`session:number`). How many were cut off before the first one, its number, and the messages.
 */
export const read: BatchOperation<readonly (string | number)[]> = {
  name: 'topic.read',
  batch: true,
  step(tx, keys, args) {
    const topic = topicAt(keys, 0);
    const max = numberAt(tx, args, 1);
    const next = numberAt(tx, args, 0);
    const first = firstOf(tx, topic);
    const from = startAt(tx, topic, next, first);
    const found: (string | number)[] = [Math.max(0, from - next), from];
    for (const message of tx.lrange(topic.log, from - first, from - first + max - 1)) found.push(message);
    const reader = args[2]! + ':' + topic.topic;
    if (found.length === 2) tx.zaddNew(topic.waiting, tx.nowUs(), reader);
    else tx.zrem(topic.waiting, reader);
    return found;
  },
};

/** A reader waits no more. args: the reader. 1 if it did. */
export const stop: BatchOperation<number> = {
  name: 'topic.stop',
  batch: true,
  step(tx, keys, args) {
    const topic = topicAt(keys, 0);
    return tx.zrem(topic.waiting, args[0]! + ':' + topic.topic);
  },
};

/** Where the next message is read: what was cut off is passed by; and a log that was lost begins anew. */
function startAt(tx: Tx, topic: TopicKeys, next: number, first: number): number {
  return next < first || next > seqOf(tx, topic) + 1 ? first : next;
}

function seqOf(tx: Tx, topic: TopicKeys): number {
  return tx.integer(tx.hget(topic.topic, 'seq') ?? '0') ?? 0;
}

/** The number of the first message that is kept, or of the next one where none is. */
function firstOf(tx: Tx, topic: TopicKeys): number {
  return seqOf(tx, topic) - tx.llen(topic.log) + 1;
}

// Groups

/** The last message that the group has taken in; one that is new begins at `from`. */
function beginGroup(tx: Tx, topic: TopicKeys, group: QueueKeys, field: string, from: string): number {
  const stored = tx.hget(topic.topic, field);
  if (stored !== undefined) return tx.integer(stored) ?? 0;
  checkTopic(tx, topic);
  checkKinds(tx, group);
  const last = startOf(tx, topic, from) - 1;
  tx.hset(topic.topic, field, tx.text(last));
  return last;
}

/**
 * Acknowledges what a member of a group has done, and takes up to `max` messages for it. args: the first eight of
 * `queue.claim`, the field of the group, where it begins if it is new, then as of `queue.ack`. As `queue.claim`; where there
 * is more, somebody else of the group that waits is woken.
 */
export const claim: BatchOperation<readonly string[]> = {
  name: 'topic.claim',
  batch: true,
  step(tx, keys, args) {
    const topic = topicAt(keys, 0);
    const group = queueAt(keys, 3);
    const last = beginGroup(tx, topic, group, args[8]!, args[9]!);
    const stale = settleAll(tx, group, args, 10);
    let taken = last;
    if (!isPaused(tx, group)) taken = takeIn(tx, topic, group, last, numberAt(tx, args, 2));
    if (taken !== last) tx.hset(topic.topic, args[8]!, tx.text(taken));
    const behind = behindOf(tx, topic, taken);
    // If all that it took in stands behind messages of the same keys, there may be others further on.
    const found = claimFrom(tx, group, args, taken !== last && behind > 0);
    const reader = args[0]! + ':' + group.queue;
    if (tx.zscore(group.waiting, args[0]!) === undefined) {
      tx.zrem(topic.waiting, reader);
      wakeWaiting(tx, group, Math.min(behind, wokenMax));
    } else tx.zaddNew(topic.waiting, tx.nowUs(), reader);
    found.push(stale);
    return found;
  },
};

/** Takes in from the log what a member has room for: the last message that the group has taken in then. */
function takeIn(tx: Tx, topic: TopicKeys, group: QueueKeys, last: number, max: number): number {
  const first = firstOf(tx, topic);
  let next = startAt(tx, topic, last + 1, first);
  let missed = Math.max(0, next - last - 1);
  let wanted = max - tx.llen(group.line) - tx.zcard(group.ranked);
  let room = aheadMax - tx.hlen(group.messages) + tx.zcard(group.dead);
  for (let turn = 0; turn < turnsMax; turn++) {
    const most = Math.min(wanted, room);
    if (most <= 0) break;
    const messages = tx.lrange(topic.log, next - first, next - first + most - 1);
    for (const message of messages) {
      if (addToGroup(tx, group, tx.text(next), missed, message)) wanted = wanted - 1;
      next = next + 1;
      missed = 0;
    }
    if (messages.length < most) break;
    room = room - messages.length;
  }
  // What was missed is told with the next message there is.
  return missed > 0 ? last : next - 1;
}

/** True where the message is ready: none of its key is ahead of it. */
function addToGroup(tx: Tx, group: QueueKeys, id: string, missed: number, message: string): boolean {
  const cutOff = missed === 0 ? '' : tx.text(missed);
  tx.hset(group.messages, id, tx.part(message, 0) + ':' + cutOff + ':' + tx.rest(message, 1));
  const key = tx.part(message, 1);
  if (key !== '') return joinGroup(tx, group, key, id);
  tx.rpush(group.line, id);
  return true;
}

/**
 * A member takes no more, or its session is dead: as `queue.leave`. args: as there, then the field of the group. Somebody
 * else hears of what it may have been woken for.
 */
export const leave: BatchOperation<readonly number[]> = {
  name: 'topic.leave',
  batch: true,
  step(tx, keys, args) {
    const topic = topicAt(keys, 0);
    const group = queueAt(keys, 3);
    tx.zrem(topic.waiting, args[0]! + ':' + group.queue);
    const left = leaveQueue(tx, group, args);
    passOn(tx, topic, group, args[5]!);
    return left;
  },
};

/** A wake-up that was lost with its session goes to the next member. args: the field of the group. */
export const pass: BatchOperation<number> = {
  name: 'topic.pass',
  batch: true,
  step(tx, keys, args) {
    const group = queueAt(keys, 3);
    passOn(tx, topicAt(keys, 0), group, args[0]!);
    wakeForReady(tx, group);
    return 1;
  },
};

function passOn(tx: Tx, topic: TopicKeys, group: QueueKeys, field: string): void {
  const last = tx.integer(tx.hget(topic.topic, field) ?? '');
  if (last !== undefined && behindOf(tx, topic, last) > 0 && !isPaused(tx, group)) wakeWaiting(tx, group, 1);
}

/** How many messages there are behind that one. */
function behindOf(tx: Tx, topic: TopicKeys, last: number): number {
  return Math.max(0, Math.min(seqOf(tx, topic) - last, tx.llen(topic.log)));
}

/** Forgets a group with all that it has taken in. args: its field. 1 if it was there. */
export const drop: BatchOperation<number> = {
  name: 'topic.drop',
  batch: true,
  step(tx, keys, args) {
    for (let i = 3; i < keys.length; i++) tx.del(keys[i]!);
    return tx.hdel(topicAt(keys, 0).topic, args[0]!);
  },
};

/**
 * How many messages are kept, and the number of the last one; then of each group how many of them it has not taken in, or
 * -1 where there is no such group. args: the fields of groups.
 */
export const sizes: BatchOperation<readonly number[]> = {
  name: 'topic.sizes',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const topic = topicAt(keys, 0);
    const found = [tx.llen(topic.log), seqOf(tx, topic)];
    for (const field of args) {
      const last = tx.integer(tx.hget(topic.topic, field) ?? '');
      found.push(last === undefined ? -1 : behindOf(tx, topic, last));
    }
    return found;
  },
};

function numberAt(tx: Tx, args: readonly string[], i: number): number {
  return tx.integer(args[i] ?? '') ?? 0;
}
