import { registerHooks } from 'node:module';

/** One change of the sources, as a tired hand might make it, that the simulation must find. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** A seed that finds it: `npm run simulate -- --mutants` tells it anew. */
  readonly seed: number;
  /** Found so seldom that only scenarios about locks are searched. */
  readonly locks?: true;
}

const lock = 'src/operations/lock.ts';
const ask = 'src/primitives/lock-ask.ts';
const line = 'src/primitives/lock-line.ts';

export const mutants: readonly Mutant[] = [
  {
    name: 'a release that does not look whose the lock is',
    file: lock,
    from: 'if (tx.get(lock.owner) !== ask.owner) return 0;',
    to: 'if (tx.get(lock.owner) === undefined) return 0;',
    seed: 70,
  },
  {
    name: 'a lock that goes to the last in the line',
    file: lock,
    from: 'const token = line[0];',
    to: 'const token = tx.zrange(lock.queue, -1, -1)[0];',
    seed: 4,
  },
  {
    name: 'a place in the line that is lost by asking again',
    file: lock,
    from: 'tx.zaddNew(lock.queue, place, ask.token)',
    to: 'tx.zadd(lock.queue, place, ask.token)',
    seed: 39,
  },
  {
    name: 'fences that follow the clock alone',
    file: lock,
    from: 'if (last >= now) {',
    to: 'if (last >= now && last < now) {',
    seed: 14,
  },
  {
    name: 'a renewal that counts from its reply',
    file: 'src/engines/keeper/renewals.ts',
    from: 'earlier(validFor(sent, ttls[i]!), lease.end)',
    to: 'earlier(validFor(now, ttls[i]! + ttls[i]! / 5), lease.end)',
    seed: 78,
  },
  {
    name: 'a guard that lets everybody write',
    file: 'src/operations/guard.ts',
    from: "return owner === '' || tx.get(guard) === owner;",
    to: "return owner === '' || tx.exists(guard);",
    seed: 224,
  },
  {
    name: 'a lease that is counted from the reply, not from the request',
    file: ask,
    from: 'validFor(sentAt, this.#ttlMs)',
    to: 'validFor(instantNow(this.#session.clock), this.#ttlMs)',
    seed: 128,
  },
  {
    name: 'a waiter that relies on its mail',
    file: ask,
    from: 'this.#sendIn(this.#polls > 0 ? foreignPollMs(this.#polls, random) : recheckMs(holderLeftMs, random));',
    to: 'if (this.#polls > 0) this.#sendIn(foreignPollMs(this.#polls, random) + recheckMs(holderLeftMs, random));',
    seed: 42,
  },
  {
    name: 'late word of an old grant that ends the lease of a new one',
    file: line,
    from: 'if (this.#hold !== undefined && token?.text === tokenOf(this.#hold.owner)?.text) return;',
    to: 'if (this.#hold?.owner === owner) return;',
    seed: 5470,
    locks: true,
  },
  {
    name: 'the last task of a session that is served first',
    file: line,
    from: 'this.#waiters.push(waiter);\n    this.#advance();',
    to: 'this.#waiters.unshift(waiter);\n    this.#advance();',
    seed: 7,
  },
  {
    name: 'a waiter that gives up and still keeps its process alive',
    file: line,
    from: 'waiter.wait?.end();\n    this.session.exit();',
    to: 'waiter.wait?.end();',
    seed: 4,
  },
  {
    name: 'time that only the monotonic clock counts',
    file: 'src/base/validity.ts',
    from: 'return Math.min(until.monotonicMs - now.monotonicMs, until.wallMs - now.wallMs);',
    to: 'return until.monotonicMs - now.monotonicMs;',
    seed: 94,
  },
  {
    name: 'a lease that is over and does not say so',
    file: 'src/session/leases.ts',
    from: 'if (isOver(until, now)) this',
    to: 'if (isAtItsEnd(hold, now)) this',
    seed: 87,
  },
  {
    name: 'a signal that is listened to for ever',
    file: 'src/base/waiting.ts',
    from: 'if (this.#signal !== undefined) waitsOf(this.#signal).delete(this);',
    to: '',
    seed: 3,
  },
  {
    name: 'a counter that tells each call the sum of all',
    file: 'src/primitives/counter.ts',
    from: 'const upToMe = plus(batch.sum, by);',
    to: 'const upToMe = by;',
    seed: 3,
  },
  {
    name: 'a commit that does not look at what was read',
    file: 'src/operations/cells.ts',
    from: "if (now[cell]! !== args[at + 1]!) outcome = ':conflict';",
    to: "if (at < 0 && now[cell]! !== args[at + 1]!) outcome = ':conflict';",
    seed: 3,
  },
  {
    name: 'a commit that is done again when it is sent again',
    file: 'src/operations/cells.ts',
    from: 'if (isDone(tx, known, args[1]!)) return',
    to: "if (args.length === 0 && isDone(tx, known, '')) return",
    seed: 189,
  },
  {
    name: 'a message that stays with whoever died',
    file: 'src/operations/queue.ts',
    from: 'tx.zrangeByScore(queue.leases, 0, now, movedMax)',
    to: 'tx.zrangeByScore(queue.leases, 0, now * 0, movedMax)',
    seed: 167,
  },
  {
    name: 'a set in which everything is new',
    file: 'src/operations/set.ts',
    from: 'if (tx.sadd(keys.set, member) === 0) return 0;',
    to: 'if (tx.sadd(keys.set, member) < 0) return 0;',
    seed: 22,
  },
  {
    name: 'a pop that leaves the member in the set',
    file: 'src/operations/set.ts',
    from: 'const member = tx.spop(keys.set);',
    to: 'const member = tx.sunion([keys.set])[0];',
    seed: 2,
  },
  {
    name: 'a deleted member of a set that nobody hears of',
    file: 'src/operations/set.ts',
    from: 'if (tx.srem(keys.set, member) === 0) return 0;\n  changed(tx, keys.watchers, member);',
    to: 'if (tx.srem(keys.set, member) === 0) return 0;',
    seed: 953,
  },
  {
    name: 'a smaller score that replaces a greater one',
    file: 'src/operations/sorted.ts',
    from: "if (when === 'greater' && score <= before) return 0;",
    to: "if (when === 'greater' && score === before) return 0;",
    seed: 274,
  },
  {
    name: 'the lowest score that is taken from the other end',
    file: 'src/operations/sorted.ts',
    from: 'tx.zrangeWithScores(keys.sorted, 0 - ask.reverse, 0 - ask.reverse)',
    to: 'tx.zrangeWithScores(keys.sorted, -1, -1)',
    seed: 27,
  },
  {
    name: 'an element that is put in at the wrong end',
    file: 'src/operations/list.ts',
    from: 'return tx.lpush(keys.list, element);',
    to: 'return tx.rpush(keys.list, element);',
    seed: 24,
  },
  {
    name: 'an element that stays with the taker who died',
    file: 'src/operations/list.ts',
    from: 'else if (tell(tx, keys, token, element)) tx.zadd(keys.grants, tx.nowUs(), token);',
    to: "else if (tell(tx, keys, token, element) || element !== '') tx.zadd(keys.grants, tx.nowUs(), token);",
    seed: 1732,
  },
  {
    name: 'a taker who gives up, and keeps what it was handed',
    file: 'src/operations/list.ts',
    from: 'if (element !== undefined) giveBackElement(tx, keys, ask.token, element);\n    else if (tx.zrem',
    to: 'if (element !== undefined && ask.confirming === 2) giveBackElement(tx, keys, ask.token, element);\n    else if (tx.zrem',
    seed: 82,
  },
  {
    name: 'a compare-and-set that only looks whether there is a value',
    file: 'src/operations/value.ts',
    from: '(ask.present === 0 || now !== ask.expected)',
    to: '(ask.present === 0 || now === ask.text)',
    seed: 11,
  },
  {
    name: 'a value that is replaced and told as if it had been the new one',
    file: 'src/operations/value.ts',
    from: "return before === undefined ? ['ok'] : ['ok', before];",
    to: "return before === undefined ? ['ok'] : ['ok', ask.text];",
    seed: 5,
  },
  {
    name: 'values that are recorded until the store says so twice',
    file: 'src/primitives/stats.ts',
    from: "if (verdict === 'ok') return;",
    to: "if (verdict === 'ok' && tries > 0) return;",
    seed: 29,
  },
  {
    name: 'a sum that forgets what was there before',
    file: 'src/operations/stats.ts',
    from: 'tx.decimal(fraction(tx, window, field) + by)',
    to: 'tx.decimal(Math.max(fraction(tx, window, field), by))',
    seed: 43,
  },
  {
    name: 'a change that only the first of those who watch hears of',
    file: 'src/operations/watch.ts',
    from: 'tx.zrangeByScore(watchers, 0, 0, wokenMax)',
    to: 'tx.zrangeByScore(watchers, 0, 0, 1)',
    seed: 514,
  },
  {
    name: 'a reader whom nobody wakes',
    file: 'src/operations/topic.ts',
    from: 'if (mail === topic.topic || messages >= readers.length',
    to: 'if (messages > readers.length',
    seed: 129,
  },
  {
    name: 'a group that takes in what it has',
    file: 'src/operations/topic.ts',
    from: 'if (taken !== last) tx.hset(topic.topic, args[8]!, tx.text(taken));',
    to: 'if (taken > last + 1) tx.hset(topic.topic, args[7]!, tx.text(taken - 1));',
    seed: 40,
  },
  {
    name: 'a session that is told of one change and of no other',
    file: 'src/operations/watch.ts',
    from: "tx.zadd(keys.watchers, 0, 'session:' + ask.session);",
    to: "if (ask.seen === 0) tx.zadd(keys.watchers, 0, 'session:' + ask.session);",
    seed: 41,
  },
  {
    name: 'a reader who goes on one message too far',
    file: 'src/primitives/topic-subscription.ts',
    from: 'this.#next = (from as number) + page.length;',
    to: 'this.#next = (from as number) + page.length + (page.length > 3 ? 1 : 0);',
    seed: 37,
  },
  {
    name: 'a majority of two in five, and of one in three',
    file: 'src/base/ballot.ts',
    from: 'return Math.floor(count / 2) + 1;',
    to: 'return Math.floor(count / 2);',
    seed: 71,
  },
  {
    name: 'a server that votes although it may have forgotten',
    file: 'src/session/quorum-session.ts',
    from: 'if (leftMs <= 0) return undefined;',
    to: 'if (leftMs <= this.ttlMsMax) return undefined;',
    seed: 642,
  },
  {
    name: 'a lease over several servers that lasts longer than their votes',
    file: 'src/primitives/quorum-round.ts',
    from: 'const until = validFor(sent, ttlMs);',
    to: 'const until = validFor(sent, 1.25 * ttlMs);',
    seed: 4367,
  },
];

/** From now on, sources are loaded with this change. */
export function plant({ name, file, from, to }: Mutant): void {
  const url = new URL(`../../${file}`, import.meta.url).href;
  registerHooks({
    load(at, context, next) {
      const loaded = next(at, context);
      if (at !== url) return loaded;
      const source = new TextDecoder().decode(loaded.source as Uint8Array);
      if (source.split(from).length !== 2) throw new Error(`mutant ${name}: ${file} has not once: ${from}`);
      return { ...loaded, source: source.replace(from, () => to) };
    },
  });
}
