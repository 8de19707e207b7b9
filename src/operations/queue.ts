/**
 * A queue: messages that wait, that are held under leases, or that are dead.
 *
 *   queue      hash        `seq`, the last place given out; `paused`; `tick:ID`, the last tick of a recurring message, in ms;
 *                          `ring`, which changes whenever a consumer comes or goes
 *   messages   hash        id → `pushedMs:ownId:group:payload`, from push to ack
 *   line       list        ids that were never delivered, of the normal priority, in order
 *   ranked     sorted set  entries that have a place of their own: other priorities, and what came back; by place
 *   delayed    sorted set  entries by when they are due, in store µs
 *   leases     sorted set  tokens of deliveries by the end of their leases, in store µs
 *   dead       sorted set  ids by when they died, in store µs
 *   deaths     hash        id → `deliveries:holder:blocked:reason`
 *   groups     hash        group → `head:tail`, ids; a group that is empty has none
 *   links      hash        id → the id behind it in its group
 *   ids        sorted set  own ids of messages, by the end of their windows, in store µs
 *   waiting    sorted set  consumers that would take a message, by arrival
 *   room       sorted set  sessions that wait for room in a bounded queue, by arrival
 *   consumers  sorted set  all who consume, by arrival: a ring, in which each watches the next
 *
 * An id is a place: `seq`, less 2^44 for each step of priority; what goes first has the lower one. An entry is
 * `id:deliveries:holder`, what is known of a message that was delivered before. The token of a delivery is
 * `id:deliveries:session:claim`; it is never given again, as a session claims with a new number each time. A consumer is
 * `session:most.number`, `most` being how many messages it holds at most.
 *
 * - A message is in one of line, ranked, delayed, leases, dead; or behind the head of its group, by links. Only the head
 *   of a group is anywhere else, so that one of a group is in flight.
 * - A delivery is counted when it is claimed, so that a message that kills its process reaches its limit too.
 * - A token that is not in `leases` changes nothing.
 * - Whenever a message is ready and a live consumer waits, one that waits has been woken for it: as many as can hold what is
 *   ready. One that holds something already takes less: then its claim wakes the next.
 */
import type { BatchOperation, Tx } from './tx.ts';

/** Places of one priority: 17 million million messages. */
const placesPerPriority = 17_592_186_044_416;

/** What a step of housekeeping inside of another step moves at most. */
const movedMax = 100;

/** So many tokens are found in no time in any kind of set. */
const fewTokens = 10;

/** 65 bytes that are no token. */
const longMember = '-----------------------------------------------------------------';

export interface QueueKeys {
  queue: string;
  messages: string;
  line: string;
  ranked: string;
  delayed: string;
  leases: string;
  dead: string;
  deaths: string;
  groups: string;
  links: string;
  ids: string;
  waiting: string;
  room: string;
  consumers: string;
}

/** What is needed to wake those who wait for messages. */
type WakingKeys = Pick<QueueKeys, 'queue' | 'line' | 'ranked' | 'waiting'>;

/** The keys of a queue in the order in which they are passed, from `first` on. */
export function queueAt(keys: readonly string[], first: number): QueueKeys {
  return {
    queue: keys[first]!,
    messages: keys[first + 1]!,
    line: keys[first + 2]!,
    ranked: keys[first + 3]!,
    delayed: keys[first + 4]!,
    leases: keys[first + 5]!,
    dead: keys[first + 6]!,
    deaths: keys[first + 7]!,
    groups: keys[first + 8]!,
    links: keys[first + 9]!,
    ids: keys[first + 10]!,
    waiting: keys[first + 11]!,
    room: keys[first + 12]!,
    consumers: keys[first + 13]!,
  };
}

// Pushing

/**
 * Adds messages, in order. Of each its id; '' where one of its own id came within the window; 'full' from the first on
 * that a bounded queue has no room for. Where there are no heads: the id of the first, and how many there was room for,
 * whose ids follow each other.
 *
 * args: capacity (0: none), window in ms, the session that will wait for room ('': none), whether heads are given (1 or 0),
 * then head and payload of each, or payloads. A head is '' or `priority:delayMs:ownId:group`; ids and groups have no `:`.
 */
export const push: BatchOperation<readonly string[]> = {
  name: 'queue.push',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const first = lastPlace(tx, queue);
    const room = roomIn(tx, queue, numberAt(tx, args, 0));
    let added = Math.min(args.length - 4, room);
    let isFull = added < args.length - 4;
    let ids = [tx.text(first + 1), tx.text(added)];
    if (args[3] === '1') {
      const way: PushWay = { stamp: stampOf(tx), windowMs: numberAt(tx, args, 1) };
      ids = addEach(tx, queue, way, args, first, room);
      added = countOf(ids);
      isFull = ids[ids.length - 1] === 'full';
    } else addPlain(tx, queue, first, args, 4, added);
    if (added > 0) {
      tx.hset(queue.queue, 'seq', tx.text(first + added));
      wakeWaiting(tx, queue, added);
    }
    const session = args[2]!;
    if (session !== '') {
      if (isFull) tx.zaddNew(queue.room, tx.nowUs(), session);
      else tx.zrem(queue.room, session);
    }
    return ids;
  },
};

/** Adds the messages that there is room for, behind the place `last`: what `push` says of each. */
function addEach(
  tx: Tx,
  queue: QueueKeys,
  way: PushWay,
  args: readonly string[],
  last: number,
  room: number,
): string[] {
  let seq = last;
  let left = room;
  const ids: string[] = [];
  for (let i = 4; i + 1 < args.length; i += 2) {
    const id = left > 0 ? enqueue(tx, queue, way, seq + 1, args[i]!, args[i + 1]!) : 'full';
    ids.push(id);
    if (id !== 'full' && id !== '') {
      seq = seq + 1;
      left = left - 1;
    }
  }
  return ids;
}

/** How many were added, of what `addEach` says. */
function countOf(ids: readonly string[]): number {
  let added = 0;
  for (const id of ids) if (id !== 'full' && id !== '') added = added + 1;
  return added;
}

/** Adds so many messages without heads, from `args[from]` on, behind the place `last`. */
export function addPlain(
  tx: Tx,
  queue: Pick<QueueKeys, 'messages' | 'line'>,
  last: number,
  args: readonly string[],
  from: number,
  count: number,
): void {
  const start = stampOf(tx) + ':::';
  if (count === 1) {
    const id = tx.text(last + 1);
    tx.hmset(queue.messages, [id, start + args[from]!]);
    tx.rpush(queue.line, id);
  } else if (count > 0) {
    const ids = tx.texts(last + 1, count);
    const records: string[] = [];
    for (let i = 0; i < count; i++) {
      records[i * 2] = ids[i]!;
      records[i * 2 + 1] = start + args[from + i]!;
    }
    tx.hmset(queue.messages, records);
    tx.rpushAll(queue.line, ids);
  }
}

function stampOf(tx: Tx): string {
  return tx.text(Math.floor(tx.nowUs() / 1_000));
}

/** What the messages of one step have in common. */
export interface PushWay {
  /** ms since 1970. */
  stamp: string;
  /** For how long an own id keeps others away: ms. */
  windowMs: number;
}

/**
 * Adds one message in a fresh place: its id, or '' where one of its own id came within the window. It is for the caller
 * to keep `seq` and to wake who waits.
 */
export function enqueue(tx: Tx, queue: QueueKeys, way: PushWay, seq: number, head: string, payload: string): string {
  if (head === '') {
    const plain = tx.text(seq);
    tx.hset(queue.messages, plain, way.stamp + ':::' + payload);
    tx.rpush(queue.line, plain);
    return plain;
  }
  const ownId = tx.part(head, 2);
  if (ownId !== '' && !isFirst(tx, queue, ownId, way.windowMs)) return '';
  const group = tx.part(head, 3);
  const priority = tx.integer(tx.firstPart(head)) ?? 0;
  const place = seq - priority * placesPerPriority;
  const id = tx.text(place);
  tx.hset(queue.messages, id, way.stamp + ':' + ownId + ':' + group + ':' + payload);
  const delayMs = tx.integer(tx.part(head, 1)) ?? 0;
  if (group !== '') joinGroup(tx, queue, group, id);
  else if (delayMs > 0) tx.zadd(queue.delayed, tx.nowUs() + delayMs * 1_000, id + ':0');
  else if (priority !== 0) tx.zadd(queue.ranked, place, id + ':0');
  else tx.rpush(queue.line, id);
  return id;
}

/** Whether no message of this own id came within its window; it begins one then. Forgets some windows that are over. */
function isFirst(tx: Tx, queue: QueueKeys, ownId: string, windowMs: number): boolean {
  const now = tx.nowUs();
  for (const over of tx.zrangeByScore(queue.ids, 0, now, 2)) tx.zrem(queue.ids, over);
  if (tx.zscore(queue.ids, ownId) !== undefined && (tx.zscore(queue.ids, ownId) ?? 0) > now) return false;
  if (windowMs > 0) tx.zadd(queue.ids, now + windowMs * 1_000, ownId);
  return true;
}

/** How many messages a bounded queue can still take; dead ones don't count. */
function roomIn(tx: Tx, queue: QueueKeys, capacity: number): number {
  if (capacity === 0) return Number.MAX_SAFE_INTEGER;
  return Math.max(0, capacity - tx.hlen(queue.messages) + tx.zcard(queue.dead));
}

/** A script of Redis that fails midway leaves what it wrote: so a new queue first looks whether its keys are free. */
export function checkKinds(tx: Tx, queue: QueueKeys): void {
  tx.hlen(queue.messages);
  tx.llen(queue.line);
  tx.zcard(queue.ranked);
  tx.zcard(queue.delayed);
  tx.zcard(queue.leases);
  tx.zcard(queue.dead);
  tx.hlen(queue.deaths);
  tx.hlen(queue.groups);
  tx.hlen(queue.links);
  tx.zcard(queue.ids);
  tx.zcard(queue.waiting);
  tx.zcard(queue.room);
  tx.zcard(queue.consumers);
}

// Groups

/** Puts a message behind the others of its group; the head of a group stands in the line like any message. True for one. */
export function joinGroup(tx: Tx, queue: QueueKeys, group: string, id: string): boolean {
  const ends = tx.hget(queue.groups, group);
  if (ends === undefined) {
    tx.hset(queue.groups, group, id + ':' + id);
    tx.rpush(queue.line, id);
    return true;
  }
  tx.hset(queue.links, tx.part(ends, 1), id);
  tx.hset(queue.groups, group, tx.firstPart(ends) + ':' + id);
  return false;
}

/**
 * The head of a group is done with: the next one joins the line at its end, behind the heads of the other groups, which
 * so take turns. True if there is a next one.
 */
function advance(tx: Tx, queue: QueueKeys, group: string): boolean {
  const ends = tx.hget(queue.groups, group);
  if (ends === undefined) return false;
  const head = tx.firstPart(ends);
  const next = tx.hget(queue.links, head);
  if (next === undefined) {
    tx.hdel(queue.groups, group);
    return false;
  }
  tx.hdel(queue.links, head);
  tx.hset(queue.groups, group, next + ':' + tx.part(ends, 1));
  tx.rpush(queue.line, next);
  return true;
}

function groupOf(tx: Tx, queue: QueueKeys, id: string): string {
  return tx.part(tx.hget(queue.messages, id) ?? '', 2);
}

// Claiming

/** How a claimer deals with what was delivered too often. */
interface Limit {
  /** 0: none. */
  maxDeliveries: number;
  /** 1: a dead message holds up its group. */
  block: number;
}

/**
 * Acknowledges what a consumer has done, and takes up to `max` messages for it: the lowest places among those that are
 * ready, are due, or whose lease is over. A consumer that gets fewer waits for more.
 *
 * args: consumer, the number of the claim, max, lease in ms, maxDeliveries, block, wait (1 or 0), the ring as it knows it,
 * then as of `ack`. The token and the record of each message; then in how many ms something will be due (-1: nothing), the
 * ring where it is another one ('': it is the same), and which of the acknowledged deliveries were not their holder's any
 * more: tokens, divided by blanks. A ring is `number:next`, the next consumer being '' where there is none.
 */
export const claim: BatchOperation<readonly string[]> = {
  name: 'queue.claim',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const stale = settleAll(tx, queue, args, 8);
    const found = claimFrom(tx, queue, args, false);
    found.push(stale);
    return found;
  },
};

/** `claim`, of a queue that may be part of something else. `again`: whoever gets less than it wants is to ask at once. */
export function claimFrom(tx: Tx, queue: QueueKeys, args: readonly string[], again: boolean): string[] {
  const consumer = args[0]!;
  const limit: Limit = { maxDeliveries: numberAt(tx, args, 4), block: numberAt(tx, args, 5) };
  const state = tx.hmget(queue.queue, ['paused', 'ring']);
  const ring = state[1]! === args[7]! ? '' : joinRing(tx, queue, consumer);
  let taken: string[] = [];
  const max = numberAt(tx, args, 2);
  let dueMs = -1;
  if (state[0]! === false) {
    let dueUs = firstDueUs(tx, queue);
    if (dueUs <= tx.nowUs()) {
      comeBack(tx, queue, limit);
      dueUs = firstDueUs(tx, queue);
    }
    const who = ':' + tx.firstPart(consumer) + ':' + args[1]!;
    const untilUs = tx.nowUs() + numberAt(tx, args, 3) * 1_000;
    taken = take(tx, queue, who, max, untilUs, limit);
    if (taken.length > 0) dueUs = Math.min(dueUs, untilUs);
    dueMs = again ? 0 : dueIn(tx, dueUs);
  }
  const left = numberAt(tx, args, 6) === 1 ? max - Math.floor(taken.length / 2) : 0;
  standInLine(tx, queue, consumer, left);
  taken.push(tx.text(dueMs));
  taken.push(ring);
  return taken;
}

/** A consumer waits for so many messages more; one that waits for none lets the others have what is ready. */
export function standInLine(tx: Tx, queue: WakingKeys, consumer: string, left: number): void {
  if (left > 0) tx.zaddNew(queue.waiting, tx.nowUs(), consumer);
  else {
    tx.zrem(queue.waiting, consumer);
    wakeForReady(tx, queue);
  }
}

/** ms, rounded up; -1 where there is nothing. */
export function dueIn(tx: Tx, dueUs: number): number {
  return dueUs < Number.MAX_SAFE_INTEGER ? Math.max(0, Math.floor((dueUs - tx.nowUs() + 999) / 1_000)) : -1;
}

/** Whether nothing is delivered. */
export function isPaused(tx: Tx, queue: QueueKeys): boolean {
  return tx.hget(queue.queue, 'paused') !== undefined;
}

/** The token and the record of each message that is taken. */
function take(tx: Tx, queue: QueueKeys, who: string, max: number, untilUs: number, limit: Limit): string[] {
  if (tx.zcard(queue.ranked) === 0) return takeLine(tx, queue, who, max, untilUs);
  return takeOrdered(tx, queue, who, max, untilUs, limit);
}

/** `take`, where some have a place of their own. */
function takeOrdered(tx: Tx, queue: QueueKeys, who: string, max: number, untilUs: number, limit: Limit): string[] {
  let ranked = tx.zrange(queue.ranked, 0, 0)[0];
  const taken: string[] = [];
  // What died, or was deleted by others, takes up a turn too.
  for (let i = 0; i < max + movedMax && taken.length < max * 2; i++) {
    let id: string | undefined;
    let deliveries = 1;
    if (ranked === undefined) id = tx.lpop(queue.line);
    else if (isAhead(tx, queue, ranked)) {
      id = tx.firstPart(ranked);
      deliveries = (tx.integer(tx.part(ranked, 1)) ?? 0) + 1;
      tx.zrem(queue.ranked, ranked);
      if (limit.maxDeliveries > 0 && deliveries > limit.maxDeliveries) {
        die(tx, queue, ranked, limit.block, 'it was delivered as often as its queue allows');
        id = '';
      }
      ranked = tx.zrange(queue.ranked, 0, 0)[0];
    } else id = tx.lpop(queue.line);
    if (id === undefined) return taken;
    const record = tx.hget(queue.messages, id);
    if (record !== undefined) {
      const token = id + ':' + tx.text(deliveries) + who;
      tx.zadd(queue.leases, untilUs, token);
      taken.push(token);
      taken.push(record);
    }
  }
  return taken;
}

/** `take`, where nothing has a place of its own. */
export function takeLine(
  tx: Tx,
  queue: Pick<QueueKeys, 'messages' | 'line' | 'leases'>,
  who: string,
  max: number,
  untilUs: number,
): string[] {
  const delivery = ':1' + who;
  const score = tx.text(untilUs);
  const taken: string[] = [];
  const leases: string[] = [];
  let count = 0;
  // What was deleted by others takes up a turn too.
  for (let turn = 0; turn < movedMax && count < max; turn++) {
    const ids = tx.lpopMany(queue.line, max - count);
    const found = ids.length;
    if (found === 0) break;
    const records = tx.hmget(queue.messages, ids);
    for (let i = 0; i < found; i++) {
      const record = records[i]!;
      if (record !== false) {
        const token = ids[i]! + delivery;
        leases[count * 2] = score;
        leases[count * 2 + 1] = token;
        taken[count * 2] = token;
        taken[count * 2 + 1] = record;
        count = count + 1;
      }
    }
  }
  if (count > 0) lend(tx, queue, untilUs, leases);
  return taken;
}

/**
 * Begins the leases of several deliveries: the end and the token of each. Redis keeps a small sorted set as one text, in
 * which it looks for each member from the beginning (5 µs a token), until there is a member of more than 64 bytes in it:
 * hence that, for a moment.
 */
function lend(tx: Tx, queue: Pick<QueueKeys, 'leases'>, untilUs: number, leases: string[]): void {
  const isLong = leases.length > fewTokens * 2;
  if (isLong) tx.zadd(queue.leases, untilUs, longMember);
  tx.zaddAll(queue.leases, leases);
  if (isLong) tx.zrem(queue.leases, longMember);
}

/** Whether an entry with a place of its own goes before the first of the line. */
function isAhead(tx: Tx, queue: QueueKeys, entry: string): boolean {
  const first = tx.lrange(queue.line, 0, 0)[0];
  return first === undefined || placeOf(tx, entry) < placeOf(tx, first);
}

/** What is due, or whose lease is over, gets its old place again. Some at a time: the next claim goes on. */
function comeBack(tx: Tx, queue: QueueKeys, limit: Limit): void {
  const now = tx.nowUs();
  for (const token of tx.zrangeByScore(queue.leases, 0, now, movedMax)) {
    tx.zrem(queue.leases, token);
    putBack(tx, queue, token, limit, 'its lease ran out');
  }
  for (const entry of tx.zrangeByScore(queue.delayed, 0, now, movedMax)) {
    tx.zrem(queue.delayed, entry);
    tx.zadd(queue.ranked, placeOf(tx, entry), entry);
  }
}

/** A delivery ended without an ack: back to its place, or dead. 1 if it is dead. */
function putBack(tx: Tx, queue: QueueKeys, token: string, limit: Limit, reason: string): number {
  const deliveries = tx.integer(tx.part(token, 1)) ?? 1;
  if (limit.maxDeliveries > 0 && deliveries >= limit.maxDeliveries) {
    die(tx, queue, token, limit.block, reason);
    return 1;
  }
  tx.zadd(queue.ranked, placeOf(tx, token), entryOf(tx, token, deliveries));
  return 0;
}

/**
 * `subject`: the entry or token of its last delivery, which is in none of the sets any more. Tells who waits for room; what is
 * ready by that is for the caller to tell.
 */
function die(tx: Tx, queue: QueueKeys, subject: string, block: number, reason: string): void {
  const id = tx.firstPart(subject);
  const group = groupOf(tx, queue, id);
  const blocked = group !== '' && block === 1 ? '1' : '0';
  tx.zadd(queue.dead, tx.nowUs(), id);
  tx.hset(queue.deaths, id, tx.part(subject, 1) + ':' + tx.part(subject, 2) + ':' + blocked + ':' + reason);
  if (group !== '' && blocked === '0') advance(tx, queue, group);
  wakeRoom(tx, queue, 1); // the dead don't count
}

/** When the first lease is over or the first delayed message is due: µs; the highest integer where there is nothing. */
function firstDueUs(tx: Tx, queue: QueueKeys): number {
  const lease = tx.zrangeWithScores(queue.leases, 0, 0)[1];
  const delayed = tx.zrangeWithScores(queue.delayed, 0, 0)[1];
  const leaseUs = lease === undefined ? Number.MAX_SAFE_INTEGER : tx.number(lease);
  return delayed === undefined ? leaseUs : Math.min(leaseUs, tx.number(delayed));
}

/** The ring, with a consumer in it. */
function joinRing(tx: Tx, queue: QueueKeys, consumer: string): string {
  let ring = tx.hget(queue.queue, 'ring') ?? '';
  if (tx.zaddNew(queue.consumers, tx.nowUs(), consumer) === 1) {
    ring = changeRing(tx, queue);
    tellBefore(tx, queue, consumer);
  }
  return ring + ':' + nextInRing(tx, queue, consumer);
}

/** Wakes the one that is to watch this consumer, or will have to watch another one: it may be busy for long. */
function tellBefore(tx: Tx, queue: QueueKeys, consumer: string): void {
  const place = tx.zscore(queue.consumers, consumer) ?? 0;
  const before = tx.zbefore(queue.consumers, place) ?? tx.zrange(queue.consumers, -1, -1)[0] ?? consumer;
  if (before !== consumer) tx.wake(tx.firstPart(before), 'ready ' + before + ' 0 ' + queue.queue);
}

function changeRing(tx: Tx, queue: QueueKeys): string {
  const ring = tx.text((tx.integer(tx.hget(queue.queue, 'ring') ?? '') ?? 0) + 1);
  tx.hset(queue.queue, 'ring', ring);
  return ring;
}

/** Whom a consumer watches: the one that came after it, or the first. '' where it is alone. */
function nextInRing(tx: Tx, queue: QueueKeys, consumer: string): string {
  const place = tx.zscore(queue.consumers, consumer) ?? 0;
  // Two may have come in the same µs.
  const near = tx.zrangeByScore(queue.consumers, place, Number.MAX_SAFE_INTEGER, movedMax);
  for (let i = 0; i + 1 < near.length; i++) if (near[i] === consumer) return near[i + 1]!;
  const first = tx.zrange(queue.consumers, 0, 0)[0] ?? '';
  return first === consumer ? '' : first;
}

// What becomes of a delivery

/** Whether a delivery is still its holder's. */
export function isHeld(tx: Tx, queue: QueueKeys, token: string): boolean {
  return tx.zscore(queue.leases, token) !== undefined;
}

/** Ends a message for good: false where the token is stale, and nothing was changed. Without waking anybody. */
export function settle(tx: Tx, queue: QueueKeys, token: string, group: string): boolean {
  if (tx.zrem(queue.leases, token) === 0) return false;
  tx.hdel(queue.messages, tx.firstPart(token));
  if (group !== '') advance(tx, queue, group);
  return true;
}

/**
 * Acknowledges deliveries. args: how many have no group, their tokens, then token and group of each other one. The tokens
 * that were stale, divided by blanks.
 */
export const ack: BatchOperation<string> = {
  name: 'queue.ack',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const stale = settleAll(tx, queue, args, 0);
    wakeForReady(tx, queue);
    return stale;
  },
};

/** As `ack`, of what stands in `args` from `at` on, without waking those for whom messages are ready. */
export function settleAll(tx: Tx, queue: QueueKeys, args: readonly string[], at: number): string {
  const alone = at + 1 + numberAt(tx, args, at);
  const ids: string[] = [];
  let stale = settleAlone(tx, queue, args, at + 1, alone, ids);
  for (let i = alone; i + 1 < args.length; i += 2) {
    const token = args[i]!;
    if (tx.zrem(queue.leases, token) === 1) {
      ids.push(tx.firstPart(token));
      advance(tx, queue, args[i + 1]!);
    } else stale = stale + token + ' ';
  }
  if (ids.length > 0) {
    tx.hdelAll(queue.messages, ids);
    wakeRoom(tx, queue, ids.length);
  }
  return stale;
}

/**
 * Ends deliveries of no group: tokens from `args[from]` to before `args[to]`. The stale ones; the ids of the others go to
 * `ids`, and are to be deleted.
 */
export function settleAlone(
  tx: Tx,
  queue: Pick<QueueKeys, 'leases'>,
  args: readonly string[],
  from: number,
  to: number,
  ids: string[],
): string {
  let stale = '';
  for (let i = from; i < to; i++) {
    const token = args[i]!;
    if (tx.zrem(queue.leases, token) === 1) ids.push(tx.firstPart(token));
    else stale = stale + token + ' ';
  }
  return stale;
}

/** Wakes who waits for what so many settled messages make possible: room, and the next ones of their groups. */
export function afterSettling(tx: Tx, queue: QueueKeys, freed: number): void {
  wakeRoom(tx, queue, freed);
  wakeForReady(tx, queue);
}

/**
 * Gives deliveries back. args: maxDeliveries, block, then token, group, delay in ms, whether the delivery does not count
 * (1 or 0) and the reason of each. 1 each that still was its holder's, 2 for what is dead now.
 */
export const nack: BatchOperation<readonly number[]> = {
  name: 'queue.nack',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const limit: Limit = { maxDeliveries: numberAt(tx, args, 0), block: numberAt(tx, args, 1) };
    const done: number[] = [];
    for (let i = 2; i + 4 < args.length; i += 5) {
      const delayMs = numberAt(tx, args, i + 2);
      const back: Return = { delayMs, uncounted: numberAt(tx, args, i + 3) === 1, reason: args[i + 4]! };
      done.push(giveBack(tx, queue, args[i]!, back, limit));
    }
    wakeForReady(tx, queue);
    return done;
  },
};

/** How a delivery is given back. */
interface Return {
  delayMs: number;
  uncounted: boolean;
  reason: string;
}

/** 0: the token is stale; 1: it is back; 2: it is dead. */
function giveBack(tx: Tx, queue: QueueKeys, token: string, back: Return, limit: Limit): number {
  if (tx.zrem(queue.leases, token) === 0) return 0;
  const deliveries = tx.integer(tx.part(token, 1)) ?? 1;
  if (back.uncounted) tx.zadd(queue.ranked, placeOf(tx, token), entryOf(tx, token, deliveries - 1));
  else if (back.delayMs === 0 || (limit.maxDeliveries > 0 && deliveries >= limit.maxDeliveries)) {
    if (putBack(tx, queue, token, limit, back.reason) === 1) return 2;
  } else {
    tx.zadd(queue.delayed, tx.nowUs() + back.delayMs * 1_000, entryOf(tx, token, deliveries));
    wakeWaiting(tx, queue, 1); // its due time may come before what those who wait know of
  }
  return 1;
}

/** Gives each lease that is still its holder's this whole length. keys: `leases` of each; args: token, ms of each. */
export const renew: BatchOperation<readonly number[]> = {
  name: 'queue.renew',
  batch: true,
  step(tx, keys, args) {
    const renewed: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const leases = keys[i]!;
      const token = args[i * 2]!;
      if (tx.zscore(leases, token) === undefined) renewed.push(0);
      else {
        tx.zadd(leases, tx.nowUs() + numberAt(tx, args, i * 2 + 1) * 1_000, token);
        renewed.push(1);
      }
    }
    return renewed;
  },
};

/**
 * A consumer takes no more, or its session is dead: then what that holds comes back. Whoever waits takes its place.
 *
 * args: consumer, how many leases to pass by, maxDeliveries, block, whether it is dead (1 or 0). How many to pass by in
 * the next step, -1 at the end; then how many came back.
 */
export const leave: BatchOperation<readonly number[]> = {
  name: 'queue.leave',
  batch: true,
  step(tx, keys, args) {
    return leaveQueue(tx, queueAt(keys, 0), args);
  },
};

/** `leave`, of a queue that may be part of something else. */
export function leaveQueue(tx: Tx, queue: QueueKeys, args: readonly string[]): readonly number[] {
  const consumer = args[0]!;
  const session = tx.firstPart(consumer);
  const from = numberAt(tx, args, 1);
  const limit: Limit = { maxDeliveries: numberAt(tx, args, 2), block: numberAt(tx, args, 3) };
  if (tx.zscore(queue.consumers, consumer) !== undefined) {
    tellBefore(tx, queue, consumer);
    tx.zrem(queue.consumers, consumer);
    changeRing(tx, queue);
  }
  tx.zrem(queue.waiting, consumer);
  let back = 0;
  let seen = 0;
  if (numberAt(tx, args, 4) === 1) {
    for (const token of tx.zrange(queue.leases, from, from + movedMax * 10 - 1)) {
      seen = seen + 1;
      if (tx.part(token, 2) === session) {
        back = back + 1;
        tx.zrem(queue.leases, token);
        putBack(tx, queue, token, limit, 'its process died');
      }
    }
  }
  wakeForReady(tx, queue);
  return [seen < movedMax * 10 ? -1 : from + seen - back, back];
}

// Waking

/** Wakes as many of those who wait as can hold what came; the dead are skipped, up to 100 in a step. */
export function wakeWaiting(tx: Tx, queue: Pick<QueueKeys, 'queue' | 'waiting'>, messages: number): void {
  let left = messages;
  for (let i = 0; i < messages + movedMax; i++) {
    if (left <= 0) return;
    const consumer = tx.zpopmin(queue.waiting);
    if (consumer === undefined) return;
    if (tx.wake(tx.firstPart(consumer), 'ready ' + consumer + ' 0 ' + queue.queue)) left = left - mostOf(tx, consumer);
  }
}

/** How many messages a consumer holds at most. */
function mostOf(tx: Tx, consumer: string): number {
  return Math.max(1, Math.floor(tx.number(tx.part(consumer, 1))));
}

/** Passes on a wake-up where somebody waits although something is ready. */
export function wakeForReady(tx: Tx, queue: WakingKeys): void {
  if (tx.zcard(queue.waiting) === 0) return;
  const ready = tx.llen(queue.line) + tx.zcard(queue.ranked);
  if (ready > 0) wakeWaiting(tx, queue, ready);
}

function wakeRoom(tx: Tx, queue: Pick<QueueKeys, 'queue' | 'room'>, freed: number): void {
  let left = freed;
  for (let i = 0; i < freed + movedMax; i++) {
    if (left === 0) return;
    const session = tx.zpopmin(queue.room);
    if (session === undefined) return;
    if (tx.wake(session, 'room ' + session + ' 0 ' + queue.queue)) left = left - 1;
  }
}

/** A wake-up that was lost with its session goes to the next one. args: `ready` or `room`. */
export const pass: BatchOperation<number> = {
  name: 'queue.pass',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    if (args[0] === 'room') wakeRoom(tx, queue, 1);
    else wakeForReady(tx, queue);
    return 1;
  },
};

// By hand

/** Stops deliveries, or goes on. args: 1 or 0. 1 if that changed it. */
export const pause: BatchOperation<number> = {
  name: 'queue.pause',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    if (args[0] === '1') return tx.hset(queue.queue, 'paused', '1');
    const changed = tx.hdel(queue.queue, 'paused');
    wakeForReady(tx, queue);
    if (changed === 1) wakeWaiting(tx, queue, 1); // something may be due
    return changed;
  },
};

/** How many messages are ready (or behind others of their groups), delayed, leased, dead; and whether it is paused. */
export const sizes: BatchOperation<readonly number[]> = {
  name: 'queue.sizes',
  batch: true,
  readOnly: true,
  step(tx, keys) {
    const queue = queueAt(keys, 0);
    const delayed = tx.zcard(queue.delayed);
    const leased = tx.zcard(queue.leases);
    const dead = tx.zcard(queue.dead);
    const ready = tx.hlen(queue.messages) - delayed - leased - dead;
    return [Math.max(0, ready), delayed, leased, dead, isPaused(tx, queue) ? 1 : 0];
  },
};

/**
 * Shows the first messages of one kind. args: `ready`, `delayed`, `leased` or `dead`, and how many. Of each: entry or
 * token, the µs of its set (0 for ready), record, death ('' where it has none).
 */
export const look: BatchOperation<readonly (string | number)[]> = {
  name: 'queue.look',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const last = numberAt(tx, args, 1) - 1;
    const found: (string | number)[] = [];
    if (args[0] === 'delayed') showSet(tx, queue, found, queue.delayed, last);
    if (args[0] === 'leased') showSet(tx, queue, found, queue.leases, last);
    if (args[0] === 'dead') showSet(tx, queue, found, queue.dead, last);
    if (args[0] === 'ready') showReady(tx, queue, found, last);
    return found;
  },
};

function showSet(tx: Tx, queue: QueueKeys, found: (string | number)[], key: string, last: number): void {
  for (const entry of tx.zrange(key, 0, last)) show(tx, queue, found, entry, tx.zscore(key, entry) ?? 0);
}

/** Both orders as one, as `claim` takes them. */
function showReady(tx: Tx, queue: QueueKeys, found: (string | number)[], last: number): void {
  const ranked = tx.zrange(queue.ranked, 0, last);
  const line = tx.lrange(queue.line, 0, last);
  let r = 0;
  let l = 0;
  for (let i = 0; i <= last; i++) {
    const other = ranked[r];
    const first = line[l];
    if (other !== undefined && (first === undefined || placeOf(tx, other) < placeOf(tx, first))) {
      show(tx, queue, found, other, 0);
      r = r + 1;
    } else if (first !== undefined) {
      show(tx, queue, found, first, 0);
      l = l + 1;
    }
  }
}

function show(tx: Tx, queue: QueueKeys, found: (string | number)[], entry: string, us: number): void {
  const id = tx.firstPart(entry);
  found.push(entry);
  found.push(us);
  found.push(tx.hget(queue.messages, id) ?? '');
  found.push(tx.hget(queue.deaths, id) ?? '');
}

/**
 * Brings dead messages back, as if they had never been delivered, or deletes them. args: `redrive` or `discard`, how many
 * at most, then ids; none for those that died first. How many.
 */
export const revive: BatchOperation<number> = {
  name: 'queue.revive',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const max = numberAt(tx, args, 1);
    const ids: string[] = [];
    for (let i = 2; i < args.length; i++) ids.push(args[i]!);
    if (ids.length === 0 && max > 0) for (const id of tx.zrange(queue.dead, 0, max - 1)) ids.push(id);
    let done = 0;
    for (const id of ids) {
      if (tx.zrem(queue.dead, id) === 1) {
        done = done + 1;
        if (args[0] === 'redrive') redriveOne(tx, queue, id);
        else discardOne(tx, queue, id);
      }
    }
    wakeForReady(tx, queue);
    return done;
  },
};

function redriveOne(tx: Tx, queue: QueueKeys, id: string): void {
  const isHead = tx.part(tx.hget(queue.deaths, id) ?? '', 2) === '1';
  tx.hdel(queue.deaths, id);
  const group = groupOf(tx, queue, id);
  // One that did not hold up its group comes again behind the others.
  if (group !== '' && !isHead) joinGroup(tx, queue, group, id);
  else tx.zadd(queue.ranked, placeOf(tx, id), id + ':0');
}

function discardOne(tx: Tx, queue: QueueKeys, id: string): void {
  const isHead = tx.part(tx.hget(queue.deaths, id) ?? '', 2) === '1';
  tx.hdel(queue.deaths, id);
  if (isHead) advance(tx, queue, groupOf(tx, queue, id));
  tx.hdel(queue.messages, id);
}

/** Deletes messages that are ready or delayed, some at a time. args: how many at most. How many: 0 when none is left. */
export const drain: BatchOperation<number> = {
  name: 'queue.drain',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const max = numberAt(tx, args, 0);
    let done = 0;
    let hasNext = false;
    for (let i = 0; i < max; i++) {
      const id = popAny(tx, queue);
      if (id === '') break;
      const group = groupOf(tx, queue, id);
      done = done + tx.hdel(queue.messages, id);
      if (group !== '' && advance(tx, queue, group)) hasNext = true;
    }
    wakeRoom(tx, queue, done);
    if (hasNext) wakeForReady(tx, queue);
    return done;
  },
};

/** The id of any message that is not leased or dead, out of where it was; '' where there is none. */
function popAny(tx: Tx, queue: QueueKeys): string {
  const first = tx.lpop(queue.line);
  if (first !== undefined) return first;
  const ranked = tx.zrange(queue.ranked, 0, 0)[0];
  if (ranked !== undefined) {
    tx.zrem(queue.ranked, ranked);
    return tx.firstPart(ranked);
  }
  const delayed = tx.zrange(queue.delayed, 0, 0)[0];
  if (delayed === undefined) return '';
  tx.zrem(queue.delayed, delayed);
  return tx.firstPart(delayed);
}

// Recurring messages

/**
 * Pushes the ticks of a recurring message, once for all who try, and not before their time. args: its id, the last tick that
 * the caller knows of ('': none yet), the last one now, then own id and payload of each message. The last tick as it is
 * stored after that, and the time: ms.
 */
export const tick: BatchOperation<readonly string[]> = {
  name: 'queue.tick',
  batch: true,
  step(tx, keys, args) {
    const queue = queueAt(keys, 0);
    const field = 'tick:' + args[0]!;
    const last = tx.hget(queue.queue, field) ?? '';
    const next = args[2]!;
    const nowMs = Math.floor(tx.nowUs() / 1_000);
    const now = tx.text(nowMs);
    if (last !== args[1] || next === last || (tx.integer(next) ?? 0) > nowMs) return [last, now];
    const first = lastPlace(tx, queue);
    let seq = first;
    const way: PushWay = { stamp: now, windowMs: 0 };
    for (let i = 3; i + 1 < args.length; i += 2) {
      seq = seq + 1;
      enqueue(tx, queue, way, seq, '0:0:' + args[i]! + ':', args[i + 1]!);
    }
    tx.hset(queue.queue, field, next);
    if (seq > first) tx.hset(queue.queue, 'seq', tx.text(seq));
    wakeWaiting(tx, queue, seq - first);
    return [next, now];
  },
};

/** The place of the last message that was ever pushed; 0: none was, and no key is something else. */
function lastPlace(tx: Tx, queue: QueueKeys): number {
  const stored = tx.hget(queue.queue, 'seq');
  if (stored === undefined) checkKinds(tx, queue);
  return tx.integer(stored ?? '0') ?? 0;
}

// Text

/** The place of a message, by its id, entry or token. */
function placeOf(tx: Tx, subject: string): number {
  return tx.integer(tx.firstPart(subject)) ?? 0;
}

/** What is remembered of a token when its delivery is over. */
function entryOf(tx: Tx, token: string, deliveries: number): string {
  return tx.firstPart(token) + ':' + tx.text(deliveries) + ':' + tx.part(token, 2);
}

export function numberAt(tx: Tx, args: readonly string[], i: number): number {
  return tx.integer(args[i] ?? '') ?? 0;
}
