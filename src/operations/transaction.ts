/**
 * Transactions: what was read is checked, then everything is written, in one step; many transactions in a step.
 *
 *   commits  hash            session:slot → id:outcome… of the last step that this session sent through this slot
 *   lock     hash, PX        the commit lock: '' → the ticket of who has it, name → '1' for what others must not write
 *   queue    sorted set, PX  the tickets of those who wait for the commit lock, by arrival (store µs)
 *
 * and behind them the keys of everything that is read and written, whose layouts stand in their own files. A thing with
 * several keys has them one behind the other; a step of a transaction names the first.
 *
 * - A transaction is done as a whole or not at all: kinds, checks and the commit lock come before the first write. One
 *   that is refused does not disturb the others of its step.
 * - Reads and writes are the steps of each kind's own file: ends of entries, bounds and those who watch are seen to there.
 * - A check is the read itself, made again: whoever wrote meanwhile is seen, also who does not use lockstep.
 * - A refusal brings what the reads give now.
 * - A step with an id is done once: sent again, it tells what came of it; behind a later one of its slot, it does nothing.
 * - While the commit lock is held, others write nothing that its holder reads. It is taken in the order of arrival, by
 *   transactions that met conflicts again and again; it ends by itself, so that a dead holder holds up nobody for long.
 */
import { addWithin, setCounter } from './counter.ts';
import { popElement, pushElements, setElement, sliceOf, type TakerKeys } from './list.ts';
import { countEntries, putEntry, readEntry, removeEntry, type WatchedMapKeys } from './map.ts';
import type { BatchOperation, Tx } from './tx.ts';
import { afterSettling, enqueue, isHeld, type QueueKeys, queueAt, settle, wakeWaiting } from './queue.ts';
import { addMember, removeMember } from './set.ts';
import { addScore, rangeByRank, rangeByScores, removeScored, setScore } from './sorted.ts';
import { publishAll, topicAt } from './topic.ts';
import { readValue, removeValue, writeValue } from './value.ts';

/** How long a transaction may hold the commit lock without another try: ms. */
const lockMs = 1000;
/** A queue for the commit lock that nobody asked about for this long is gone: ms. */
const queueMs = 10000;

/**
 * What came of each request, in order: `ok`; `conflict` (`granted` if it got the commit lock by that, `overtaken` if it had it
 * before), or `turn` where the commit lock is in the way, followed by what each read gives now: how many texts, and these;
 * `kind-` and the place of a key that holds something else. Then what the reads behind the requests give, as `look` says.
 *
 * keys: commits, lock, queue, then those of data. args: the field in commits, the id ('' for none), for how many keys a kind follows,
 * these kinds (Redis's types), then the requests: its ticket ('' for none), its reads, `!`, its writes, `;`. A read or write is
 * its verb, the place of its key in keys ('' for that of the one before it), and its parameters; of a read follows what is expected.
 * Behind the requests may stand `?` and reads that nothing is expected of.
 */
export const commit: BatchOperation<readonly (string | number)[]> = {
  name: 'transaction.commit',
  batch: true,
  step(tx, keys, args) {
    const known = tx.hget(keys[0]!, args[0]!) ?? '';
    if (isDone(tx, known, args[1]!)) return ['done', known];
    const state = stateOf(tx, keys, args);
    const replies: (string | number)[] = ['now'];
    let outcomes = args[1]!;
    let holder = holderOf(tx, keys[1]!);
    let at = 3 + tx.number(args[2]!);
    for (; at < args.length && args[at]! !== '?'; at = behindWrites(args, behindReads(tx, args, at + 1) + 1) + 1) {
      let outcome = attempt(tx, keys, args, at, state, holder);
      if (args[at]! !== '') {
        outcome = queueUp(tx, keys, args, at, outcome);
        holder = holderOf(tx, keys[1]!);
      }
      replies.push(outcome);
      if (outcome !== 'ok' && !tx.startsWith(outcome, 'kind-')) explain(tx, keys, args, at + 1, state, replies);
      outcomes = outcomes + ':' + outcome;
    }
    if (args[1]! !== '') tx.hset(keys[0]!, args[0]!, outcomes);
    if (at < args.length) showAll(tx, keys, args, at + 1, state, replies);
    return replies;
  },
};

/**
 * What reads give: of each how many texts, and these; or `kind-` and the place of its key. keys, args: as of
 * `commit`, but the reads alone, without what is expected.
 */
export const look: BatchOperation<readonly (string | number)[]> = {
  name: 'transaction.look',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const replies: (string | number)[] = ['now'];
    showAll(tx, keys, args, 3 + tx.number(args[2]!), stateOf(tx, keys, args), replies);
    return replies;
  },
};

/** Forgets what came of the steps of a session that is over. keys: commits; args: fields. How many there were. */
export const forget: BatchOperation<number> = {
  name: 'transaction.forget',
  batch: true,
  step(tx, keys, args) {
    let forgotten = 0;
    for (const field of args) forgotten = forgotten + tx.hdel(keys[0]!, field);
    return forgotten;
  },
};

// What can be read and written: a verb more is a line in each of these.

/** How many parameters a verb has. */
function parametersOf(verb: string): number {
  if (verb === 'map.get' || verb === 'map.delete') return 1;
  if (verb === 'map.set' || verb === 'counter.fits') return 2;
  if (verb === 'map.setFor' || verb === 'counter.add') return 3;
  if (verb === 'counter.set' || verb === 'guard') return 1;
  return collectionParametersOf(verb);
}

function collectionParametersOf(verb: string): number {
  if (verb === 'value.set' || verb === 'set.has' || verb === 'set.add' || verb === 'set.delete') return 1;
  if (verb === 'value.setFor' || verb === 'list.push' || verb === 'list.set') return 2;
  if (verb === 'list.slice') return 3;
  return verb === 'list.pop' ? 1 : sortedParametersOf(verb);
}

function sortedParametersOf(verb: string): number {
  if (verb === 'sorted.score' || verb === 'sorted.delete') return 1;
  if (verb === 'sorted.set' || verb === 'sorted.add' || verb === 'sorted.fits') return 2;
  if (verb === 'sorted.range') return 4;
  return verb === 'sorted.rangeByScore' ? 5 : queueParametersOf(verb);
}

function queueParametersOf(verb: string): number {
  if (verb === 'queue.holds') return 1;
  if (verb === 'queue.ack') return 2;
  if (verb === 'topic.publish') return 4;
  return verb === 'queue.push' ? 3 : 0;
}

/** Whether the first parameter of a verb says which part of its thing it touches, and no other. */
function isPartial(verb: string): boolean {
  if (verb === 'queue.holds' || verb === 'queue.ack') return true;
  if (verb === 'map.get' || verb === 'map.set' || verb === 'map.setFor' || verb === 'map.delete') return true;
  if (verb === 'set.has' || verb === 'set.add' || verb === 'set.delete') return true;
  return isPartOfSorted(verb);
}

function isPartOfSorted(verb: string): boolean {
  if (verb === 'sorted.score' || verb === 'sorted.fits') return true;
  return verb === 'sorted.set' || verb === 'sorted.add' || verb === 'sorted.delete';
}

/** What a read gives. `at`: its verb; `key`: the place of its key. */
function read(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  at: number,
  key: number,
  state: readonly string[],
): readonly string[] {
  const verb = args[at]!;
  if (verb === 'map.get') {
    if (state[key + 1]! === 'none') return maybe(tx.hget(keys[key]!, args[at + 2]!)); // no entry is over
    return maybe(readEntry(tx, mapAt(keys, key), args[at + 2]!));
  }
  if (verb === 'map.size') return [tx.text(countEntries(tx, mapAt(keys, key)))];
  if (verb === 'counter.get') return maybe(tx.get(keys[key]!));
  if (verb === 'counter.fits') return unfit(tx, tx.get(keys[key]!) ?? '0', args[at + 2]!, args[at + 3]!);
  return leaseRead(tx, keys, args, at, key);
}

/** Nothing where a lease, of a lock or of a delivery, is its holder's. */
function leaseRead(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  at: number,
  key: number,
): readonly string[] {
  const verb = args[at]!;
  if (verb === 'guard') return tx.get(keys[key]!) === args[at + 2]! ? [] : ['over'];
  if (verb === 'queue.holds') return isHeld(tx, queueAt(keys, key), args[at + 2]!) ? [] : ['over'];
  return readCollection(tx, keys[key]!, args, at);
}

function readCollection(tx: Tx, key: string, args: readonly string[], at: number): readonly string[] {
  const verb = args[at]!;
  if (verb === 'value.get') return maybe(readValue(tx, key));
  if (verb === 'set.has') return tx.sismember(key, args[at + 2]!) ? ['1'] : [];
  if (verb === 'set.size') return [tx.text(tx.scard(key))];
  if (verb === 'list.length') return [tx.text(tx.llen(key))];
  if (verb === 'list.slice') {
    return sliceOf(tx, { list: key }, tx.number(args[at + 2]!), tx.number(args[at + 3]!), tx.number(args[at + 4]!));
  }
  return readSorted(tx, key, args, at);
}

function readSorted(tx: Tx, key: string, args: readonly string[], at: number): readonly string[] {
  const verb = args[at]!;
  if (verb === 'sorted.size') return [tx.text(tx.zcard(key))];
  if (verb === 'sorted.score' || verb === 'sorted.fits') {
    const score = tx.zscore(key, args[at + 2]!);
    if (verb === 'sorted.score') return score === undefined ? [] : [tx.decimal(score)];
    const sum = (score ?? 0) + tx.number(args[at + 3]!);
    return sum - sum === 0 ? [] : [tx.decimal(score ?? 0)]; // it is finite
  }
  return readRange(tx, key, args, at);
}

function readRange(tx: Tx, key: string, args: readonly string[], at: number): readonly string[] {
  const verb = args[at]!;
  if (verb !== 'sorted.range' && verb !== 'sorted.rangeByScore') return ['no verb ' + verb];
  const from = tx.number(args[at + 2]!);
  const to = tx.number(args[at + 3]!);
  const reverse = tx.number(args[at + 4]!);
  if (verb === 'sorted.range') {
    return rangeByRank(tx, { sorted: key }, { start: from, stop: to, reverse, max: tx.number(args[at + 5]!) });
  }
  const limit = tx.number(args[at + 5]!);
  return rangeByScores(tx, { sorted: key }, { from, to, reverse, limit, max: tx.number(args[at + 6]!) });
}

function write(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  at: number,
  key: number,
  state: string[],
): void {
  const verb = args[at]!;
  if (verb === 'map.set' || verb === 'map.setFor' || verb === 'map.delete') {
    writeMap(tx, keys, args, at, key, state);
    return;
  }
  const counter = { counter: keys[key]!, watchers: keys[key + 1]! };
  if (verb === 'counter.set') setCounter(tx, counter, args[at + 2]!);
  if (verb === 'counter.add') addWithin(tx, counter, args[at + 2]!, args[at + 3]!, args[at + 4]!);
  if (verb === 'queue.push') pushTo(tx, queueAt(keys, key), args[at + 2]!, args[at + 3]!, args[at + 4]!);
  if (verb === 'topic.publish') {
    const keeping = { count: tx.number(args[at + 2]!), ms: tx.number(args[at + 3]!) };
    publishAll(tx, topicAt(keys, key), keeping, [args[at + 4]!, args[at + 5]!], 0);
  }
  if (verb === 'queue.ack' && settle(tx, queueAt(keys, key), args[at + 2]!, args[at + 3]!)) {
    afterSettling(tx, queueAt(keys, key), 1);
  }
  writeCollection(tx, keys, args, at, key);
}

function writeCollection(tx: Tx, keys: readonly string[], args: readonly string[], at: number, key: number): void {
  const verb = args[at]!;
  if (verb === 'list.set') setElement(tx, listAt(keys, key), tx.number(args[at + 2]!), args[at + 3]!);
  if (verb === 'list.pop') popElement(tx, listAt(keys, key), args[at + 2]!);
  if (verb === 'list.push') pushElements(tx, listAt(keys, key), args[at + 2]!, [args[at + 3]!]);
  if (tx.startsWith(verb, 'value.')) writeOneValue(tx, keys, args, at, key);
  if (tx.startsWith(verb, 'sorted.')) writeScore(tx, keys, args, at, key);
  const set = { set: keys[key]!, watchers: keys[key + 1]! };
  if (verb === 'set.add') addMember(tx, set, args[at + 2]!);
  if (verb === 'set.delete') removeMember(tx, set, args[at + 2]!);
}

function writeOneValue(tx: Tx, keys: readonly string[], args: readonly string[], at: number, key: number): void {
  const value = { value: keys[key]!, watchers: keys[key + 1]! };
  if (args[at]! === 'value.set') writeValue(tx, value, args[at + 2]!, 0);
  else if (args[at]! === 'value.delete') removeValue(tx, value);
  else writeValue(tx, value, args[at + 2]!, tx.number(args[at + 3]!));
}

function writeScore(tx: Tx, keys: readonly string[], args: readonly string[], at: number, key: number): void {
  const sorted = { sorted: keys[key]!, watchers: keys[key + 1]! };
  if (args[at]! === 'sorted.delete') removeScored(tx, sorted, args[at + 2]!);
  else if (args[at]! === 'sorted.add') addScore(tx, sorted, tx.number(args[at + 3]!), args[at + 2]!);
  else setScore(tx, sorted, 'always', tx.number(args[at + 3]!), args[at + 2]!);
}

function listAt(keys: readonly string[], key: number): TakerKeys {
  return {
    list: keys[key]!,
    watchers: keys[key + 1]!,
    waiting: keys[key + 2]!,
    taken: keys[key + 3]!,
    grants: keys[key + 4]!,
    returned: keys[key + 5]!,
  };
}

/** Most maps have neither ends nor those who watch, as their kinds told: then there is nothing to ask, or to tell. */
function writeMap(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  at: number,
  key: number,
  state: string[],
): void {
  const verb = args[at]!;
  const field = args[at + 2]!;
  const isPlain = state[key + 1]! === 'none' && state[key + 2]! === 'none' && state.length === keys.length;
  if (verb === 'map.setFor') {
    putEntry(tx, mapAt(keys, key), field, args[at + 3]!, tx.number(args[at + 4]!));
    state.push('ends'); // what the kinds told is not so any more
  } else if (verb === 'map.set') {
    if (isPlain) tx.hset(keys[key]!, field, args[at + 3]!);
    else putEntry(tx, mapAt(keys, key), field, args[at + 3]!, 0);
  } else if (isPlain) tx.hdel(keys[key]!, field);
  else removeEntry(tx, mapAt(keys, key), field);
}

function mapAt(keys: readonly string[], key: number): WatchedMapKeys {
  return { map: keys[key]!, expiry: keys[key + 1]!, watchers: keys[key + 2]! };
}

function maybe(text: string | undefined): readonly string[] {
  return text === undefined ? [] : [text];
}

/** Nothing where a counter is between `from` and `to`. */
function unfit(tx: Tx, stored: string, from: string, to: string): readonly string[] {
  return tx.within(stored, from, to) ? [] : [stored];
}

/** Adds one message, also where a bounded queue is full: nobody can wait for room inside of a step. */
function pushTo(tx: Tx, queue: QueueKeys, windowMs: string, head: string, payload: string): void {
  const seq = (tx.integer(tx.hget(queue.queue, 'seq') ?? '0') ?? 0) + 1;
  const stamp = tx.text(Math.floor(tx.nowUs() / 1_000));
  if (enqueue(tx, queue, { stamp, windowMs: tx.integer(windowMs) ?? 0 }, seq, head, payload) === '') return;
  tx.hset(queue.queue, 'seq', tx.text(seq));
  wakeWaiting(tx, queue, 1);
}

// One request. What is expected of a read is `=` and one text, `0` for none, or `*`, how many texts, and these: most are one text,
// and to make a number of a text is among the dearest things that a script can do.

/** Does the request at `at`, or nothing of it. What came of it. `holder`: who has the commit lock. */
function attempt(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  at: number,
  state: string[],
  holder: string,
): string {
  const outcome = checked(tx, keys, args, at + 1, state);
  if (outcome === 'conflict' && holder !== '' && holder === args[at]!) return 'overtaken';
  if (outcome !== 'ok') return outcome;
  const writes = behindReads(tx, args, at + 1) + 1;
  if (holder !== '' && holder !== args[at]! && isHeldUp(tx, keys, args, writes)) return 'turn';
  writeAll(tx, keys, args, writes, state);
  return 'ok';
}

function writeAll(tx: Tx, keys: readonly string[], args: readonly string[], at: number, state: string[]): void {
  let key = 0;
  for (let place = at; args[place]! !== ';'; place = place + 2 + parametersOf(args[place]!)) {
    if (args[place + 1]! !== '') key = tx.number(args[place + 1]!);
    write(tx, keys, args, place, key, state);
  }
}

/** `ok` where every read from `at` gives what is expected; else `conflict`, or `kind-` and a key of a wrong kind. */
function checked(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  at: number,
  state: readonly string[],
): string {
  let outcome = 'ok';
  let key = 0;
  let place = at;
  for (; args[place]! !== '!'; place = behindRead(tx, args, place)) {
    if (args[place + 1]! !== '') key = tx.number(args[place + 1]!);
    if (state[key]! !== '') return 'kind-' + tx.text(key);
    if (outcome === 'ok' && !holds(tx, keys, args, place, key, state)) outcome = 'conflict';
  }
  for (place = place + 1; args[place]! !== ';'; place = place + 2 + parametersOf(args[place]!)) {
    if (args[place + 1]! !== '' && state[tx.number(args[place + 1]!)]! !== '') return 'kind-' + args[place + 1]!;
  }
  return outcome;
}

function holds(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  place: number,
  key: number,
  state: readonly string[],
): boolean {
  const found = read(tx, keys, args, place, key, state);
  const expected = place + 2 + parametersOf(args[place]!);
  const form = args[expected]!;
  if (form === '=') return found[0] === args[expected + 1]! && found.length === 1;
  if (form === '0') return found.length === 0;
  if (found.length !== tx.number(args[expected + 1]!)) return false;
  for (let i = 0; i < found.length; i++) if (found[i]! !== args[expected + 2 + i]!) return false;
  return true;
}

/** What a refusal says beyond its outcome. */
function explain(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  at: number,
  state: readonly string[],
  replies: (string | number)[],
): void {
  let key = 0;
  for (let place = at; args[place]! !== '!'; place = behindRead(tx, args, place)) {
    if (args[place + 1]! !== '') key = tx.number(args[place + 1]!);
    show(read(tx, keys, args, place, key, state), replies);
  }
}

/** What all reads from `from` to the end give. */
function showAll(
  tx: Tx,
  keys: readonly string[],
  args: readonly string[],
  from: number,
  state: readonly string[],
  replies: (string | number)[],
): void {
  let key = 0;
  for (let at = from; at < args.length; at = at + 2 + parametersOf(args[at]!)) {
    if (args[at + 1]! !== '') key = tx.number(args[at + 1]!);
    if (state[key]! !== '') replies.push('kind-' + tx.text(key));
    else show(read(tx, keys, args, at, key, state), replies);
  }
}

function show(texts: readonly string[], replies: (string | number)[]): void {
  replies.push(texts.length);
  for (const text of texts) replies.push(text);
}

function behindRead(tx: Tx, args: readonly string[], place: number): number {
  const expected = place + 2 + parametersOf(args[place]!);
  if (args[expected]! === '=') return expected + 2;
  return args[expected]! === '0' ? expected + 1 : expected + 2 + tx.number(args[expected + 1]!);
}

function behindReads(tx: Tx, args: readonly string[], at: number): number {
  let place = at;
  for (let i = at; i < args.length && args[place]! !== '!'; i++) place = behindRead(tx, args, place);
  return place;
}

function behindWrites(args: readonly string[], at: number): number {
  let place = at;
  for (let i = at; i < args.length && args[place]! !== ';'; i++) place = place + 2 + parametersOf(args[place]!);
  return place;
}

/**
 * By the place of a key: of the first of a thing '', or what is there instead of what should be; of the others behind it,
 * whose wanted kinds begin with +, what they hold.
 */
function stateOf(tx: Tx, keys: readonly string[], args: readonly string[]): string[] {
  const kinds = tx.number(args[2]!);
  const found: string[] = [];
  for (let i = 0; i < kinds; i++) found.push(tx.type(keys[3 + i]!));
  const state: string[] = ['', '', ''];
  for (let i = 0; i < kinds; i++) {
    if (isBeside(args[3 + i]!)) state.push(found[i]!);
    else {
      let wrong = isWrong(args[3 + i]!, found[i]!) ? found[i]! : '';
      for (let j = i + 1; j < kinds && isBeside(args[3 + j]!); j++) {
        if (isWrong(args[3 + j]!, found[j]!)) wrong = found[j]!;
      }
      state.push(wrong);
    }
  }
  return state;
}

function isBeside(kind: string): boolean {
  return kind === '+zset' || kind === '+hash' || kind === '+list';
}

function isWrong(wanted: string, found: string): boolean {
  return found !== 'none' && found !== wanted && '+' + found !== wanted;
}

// Steps that are sent again

/** Whether a step with this id, or a later one of its slot, was done. */
export function isDone(tx: Tx, known: string, id: string): boolean {
  return id !== '' && known !== '' && tx.number(tx.part(known, 0)) >= tx.number(id);
}

// The commit lock

/** Whether the commit lock keeps one of the writes from `at` for another transaction. */
function isHeldUp(tx: Tx, keys: readonly string[], args: readonly string[], at: number): boolean {
  let key = 0;
  for (let place = at; args[place]! !== ';'; place = place + 2 + parametersOf(args[place]!)) {
    if (args[place + 1]! !== '') key = tx.number(args[place + 1]!);
    if (tx.hget(keys[1]!, keys[key]!) !== undefined) return true;
    if (isPartial(args[place]!) && tx.hget(keys[1]!, keys[key]! + ' ' + args[place + 2]!) !== undefined) return true;
  }
  return false;
}

/** Who has it; '' for nobody. */
function holderOf(tx: Tx, lock: string): string {
  return tx.hget(lock, '') ?? '';
}

/**
 * A ticket that is done leaves, and the next one has the commit lock; another one gets in line, but for the holder, whom others
 * would wait for once more if it did not move. What came of its request.
 */
function queueUp(tx: Tx, keys: readonly string[], args: readonly string[], at: number, outcome: string): string {
  const lock = keys[1]!;
  const queue = keys[2]!;
  const ticket = args[at]!;
  if (outcome === 'ok' || tx.startsWith(outcome, 'kind-')) {
    tx.zrem(queue, ticket);
    if (tx.hget(lock, '') === ticket) tx.del(lock);
    promote(tx, lock, queue, ticket);
    return outcome;
  }
  if (outcome !== 'overtaken') {
    tx.zaddNew(queue, arrival(tx, queue), ticket);
    tx.pexpire(queue, queueMs);
  }
  promote(tx, lock, queue, ticket);
  if (tx.hget(lock, '') !== ticket) return outcome;
  reserve(tx, keys, args, at);
  tx.pexpire(lock, lockMs);
  return outcome === 'overtaken' ? outcome : 'granted';
}

/** Gives the commit lock, if it is free, to the first in line who lives, and who is out of the line by that. */
function promote(tx: Tx, lock: string, queue: string, ticket: string): void {
  if (tx.exists(lock)) return;
  for (let i = 0; i < 100; i++) {
    const head = tx.zpopmin(queue);
    if (head === undefined) return;
    if (head === ticket || tx.wake(tx.part(head, 0), 'turn ' + head + ' 0 ' + queue)) {
      tx.hset(lock, '', head);
      tx.pexpire(lock, lockMs);
      return;
    }
  }
}

/** First come, first served, whatever the clock does. */
function arrival(tx: Tx, queue: string): number {
  const last = tx.zrange(queue, -1, -1)[0];
  return Math.max(tx.nowUs(), last === undefined ? 0 : (tx.zscore(queue, last) ?? 0) + 1);
}

/** Names what the request reads. */
function reserve(tx: Tx, keys: readonly string[], args: readonly string[], at: number): void {
  let key = 0;
  for (let place = at + 1; args[place]! !== '!'; place = behindRead(tx, args, place)) {
    if (args[place + 1]! !== '') key = tx.number(args[place + 1]!);
    tx.hset(keys[1]!, isPartial(args[place]!) ? keys[key]! + ' ' + args[place + 2]! : keys[key]!, '1');
  }
}
