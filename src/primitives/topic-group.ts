import type { ValueOptions } from '../base/codec.ts';
import type { Session } from '../session/session.ts';
import type { Job } from './job.ts';
import { type Queue, queueOn, type QueueOptions, type QueueSize } from './queue.ts';
import type { ConsumeOptions, WorkOptions } from './queue-work.ts';
import { type GroupLine, groupLineOf, groupIn, type TopicFrom } from './topic-line.ts';

/** How the members of a group share messages: as the consumers of a queue. */
export interface GroupOptions extends Pick<QueueOptions<unknown>, 'lease' | 'maxDeliveries' | 'backoff' | 'onPoison'> {
  /** Where a group begins that is new; one that is there goes on where it was. Default: behind the last message. */
  from?: TopicFrom;
}

/** A message of a topic as a member of a group has it. Its `id` is its cursor, its `group` the key. */
export interface TopicJob<T> extends Job<T> {
  /** How many messages before this one were cut off before the group came to them: 0, unless the group is slow. */
  readonly missed: number;
}

/** How much a group has. `ready` counts what it has begun to deliver; what is further on in the topic is `behind`. */
export interface GroupSize extends QueueSize {
  readonly behind: number;
}

/**
 * Those who share the messages of a topic: each message is handled by one member, at least once; one that was not
 * acknowledged, as its member failed or died, is delivered again. Members take messages in their order; they are handled
 * in order where they have one key, or where there is one member which takes one at a time and none fails.
 *
 * A message that was delivered once stays until it is acknowledged, whatever the topic keeps. All of it is as in a queue.
 */
export interface TopicGroup<T> extends Pick<Queue<T>, 'name' | 'peek' | 'redrive' | 'discard' | 'pause' | 'resume'> {
  /** See `Queue.work`. */
  work(handler: (job: TopicJob<T>) => unknown, options?: WorkOptions): Promise<void>;
  /** See `Queue.consume`. The group begins with this call, if it is new. */
  consume(options?: ConsumeOptions): AsyncIterableIterator<TopicJob<T>>;
  size(): Promise<GroupSize>;
  /**
   * Forgets the group: where it was, and what it had begun to deliver. False if there was none. Members that still work make
   * it anew, from where they say: stop them first.
   */
  remove(): Promise<boolean>;
}

interface GroupPlace {
  readonly topic: string;
  readonly name: string;
  readonly from: string;
}

/** What `options` of a group may have. */
export const groupOptions: ReadonlySet<string> = new Set(['from', 'lease', 'maxDeliveries', 'backoff', 'onPoison']);

/** The handle of a group; made without I/O. Throws `INVALID_ARGUMENT`. */
export function topicGroup<T>(
  session: Session,
  { topic, name, from }: GroupPlace,
  values: ValueOptions<T>,
  options: Omit<GroupOptions, 'from'>,
): TopicGroup<T> {
  const line = (): GroupLine => {
    session.assertOpen();
    return groupLineOf(session, topic, name);
  };
  const queue = queueOn<T>(session, { name, what: groupIn(topic, name), line }, { ...options, ...values });
  return {
    name,
    async work(handler, how = {}) {
      line().begin(from);
      // What is delivered is a `HeldJob`, which has what a `TopicJob` has.
      await queue.work(handler as (job: Job<T>) => unknown, how);
    },
    consume(how = {}) {
      line().begin(from);
      return queue.consume(how) as AsyncIterableIterator<TopicJob<T>>;
    },
    async size() {
      const behind = line().behind();
      const size = await queue.size();
      return { ...size, behind: Math.max(0, await behind) };
    },
    peek: (count, kind) => queue.peek(count, kind),
    redrive: (which) => queue.redrive(which),
    discard: (which) => queue.discard(which),
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    remove: async () => line().drop(),
  };
}
