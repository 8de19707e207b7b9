/**
 * The steps that most messages of a queue (queue.ts) take, for which half of its keys are enough: messages that said
 * nothing of themselves, in a queue that has nothing else to do. Each key and argument costs a server more than many
 * a command. Whoever is told that a step did not do it takes the one of queue.ts.
 */
import { addPlain, dueIn, numberAt, type QueueKeys, settleAlone, standInLine, takeLine, wakeWaiting } from './queue.ts';
import type { BatchOperation } from './tx.ts';

/**
 * As `push`, without heads, into a queue without bound. keys: queue, messages, line, waiting; args: payloads. The first of
 * their ids, which follow each other; '' where the queue is new, and nothing was done.
 */
export const append: BatchOperation<string> = {
  name: 'line.append',
  batch: true,
  step(tx, keys, args) {
    const queue = keys[0]!;
    const last = tx.hincrby(queue, 'seq', args.length) - args.length;
    if (last === 0) {
      tx.hdel(queue, 'seq');
      return '';
    }
    addPlain(tx, { messages: keys[1]!, line: keys[2]! }, last, args, 0, args.length);
    wakeWaiting(tx, { queue, waiting: keys[3]! }, args.length);
    return tx.text(last + 1);
  },
};

/** The keys of `claim`, in their order; the first four are those of `append`. */
type LineKeys = Pick<QueueKeys, 'queue' | 'messages' | 'line' | 'waiting' | 'leases' | 'delayed' | 'ranked' | 'room'>;

/**
 * As `claim` of queue.ts, but for leases that are over: it says when the first one is, 0 if now, only to whoever gets
 * less than it wants, and does not bring back what they held. keys: `LineKeys`; args: consumer, the number of the claim,
 * max, lease in ms, the ring, then the tokens that it acknowledges, of no group. Nothing, and nothing was done, where the
 * queue is paused, the ring is another one, a message has a place of its own or is delayed, or somebody waits for room.
 */
export const claim: BatchOperation<readonly string[]> = {
  name: 'line.claim',
  batch: true,
  step(tx, keys, args) {
    const queue: LineKeys = {
      queue: keys[0]!,
      messages: keys[1]!,
      line: keys[2]!,
      waiting: keys[3]!,
      leases: keys[4]!,
      delayed: keys[5]!,
      ranked: keys[6]!,
      room: keys[7]!,
    };
    const state = tx.hmget(queue.queue, ['paused', 'ring']);
    if (state[0]! !== false || state[1]! !== args[4]!) return [];
    if (tx.existsAny([queue.ranked, queue.delayed, queue.room])) return [];
    const ended: string[] = [];
    const stale = settleAlone(tx, queue, args, 5, args.length, ended);
    if (ended.length > 0) tx.hdelAll(queue.messages, ended);
    const consumer = args[0]!;
    const max = numberAt(tx, args, 2);
    const untilUs = tx.nowUs() + numberAt(tx, args, 3) * 1_000;
    const taken = takeLine(tx, queue, ':' + tx.firstPart(consumer) + ':' + args[1]!, max, untilUs);
    const left = max - Math.floor(taken.length / 2);
    standInLine(tx, queue, consumer, left);
    let dueMs = -1;
    if (left > 0) {
      const untilFirst = tx.zrangeWithScores(queue.leases, 0, 0)[1];
      if (untilFirst !== undefined) dueMs = dueIn(tx, tx.number(untilFirst));
    }
    taken.push(tx.text(dueMs));
    taken.push('');
    taken.push(stale);
    return taken;
  },
};
