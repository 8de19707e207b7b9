export { open, type OpenOptions, type QuorumOptions } from './open.ts';
export type { Lockstep } from './lockstep.ts';
export { LockstepError, isLockstepError, type ErrorCode, type ErrorDetails } from './base/errors.ts';
export type { Duration } from './base/duration.ts';
export type { WaitOptions } from './base/waiting.ts';
export type { Codec, StandardSchemaV1, ValueOptions } from './base/codec.ts';
export type { AcquireOptions, LeaseOptions, Lock, LockOptions } from './primitives/lock.ts';
export type { Lease, ReleaseRequest } from './primitives/lease.ts';
export type { LeaseSet } from './primitives/lock-all.ts';
export type { CycleStep } from './primitives/deadlock.ts';
export type { LockHolder, LockInspection, LockWaiter } from './primitives/inspection.ts';
export type { Counter, CounterOptions } from './primitives/counter.ts';
export type { WriteOptions } from './primitives/guard.ts';
export type { ListWatchOptions, SharedList } from './primitives/list.ts';
export type { Stats, StatsOptions } from './primitives/stats.ts';
export type { StatsSnapshot } from './primitives/snapshot.ts';
export type { Every } from './primitives/windows.ts';
export type { SharedMap } from './primitives/map.ts';
export type { LastingOptions, LastingWriteOptions, SharedValue } from './primitives/value.ts';
export type { WatchOptions } from './primitives/watch.ts';
export type { QuorumLockstep } from './primitives/quorum.ts';
export type { QuorumLock, QuorumLockOptions } from './primitives/quorum-lock.ts';
export type { QuorumLease } from './primitives/quorum-lease.ts';
export type { SetChanges, SharedSet } from './primitives/set.ts';
export type { RankRangeOptions, ScoreRange, ScoreRangeOptions, SharedSortedSet } from './primitives/sorted-set.ts';
export type { SharedCollection } from './primitives/whole.ts';
export type { Transaction, TransactionBody, TransactionOptions } from './primitives/transaction.ts';
export type { TransactionCounter } from './primitives/transaction/counter.ts';
export type { Batch } from './primitives/transaction/batch.ts';
export type { LifeOptions } from './primitives/transaction/life.ts';
export type { TransactionList } from './primitives/transaction/list.ts';
export type { TransactionMap } from './primitives/transaction/map.ts';
export type { TransactionSet } from './primitives/transaction/set.ts';
export type { TransactionSortedSet } from './primitives/transaction/sorted-set.ts';
export type { TransactionValue } from './primitives/transaction/value.ts';
export type {
  TransactionPushOptions,
  TransactionQueue,
  TransactionQueueOptions,
} from './primitives/transaction/queue.ts';
export type { PushOptions, Pushed, Queue, QueueOptions, QueueSize, DeadOptions } from './primitives/queue.ts';
export type { ConsumeOptions, WorkOptions } from './primitives/queue-work.ts';
export type { RepeatOptions } from './primitives/queue-repeat.ts';
export type { Job, NackOptions } from './primitives/job.ts';
export type { Message, MessageKind } from './primitives/queue-messages.ts';
export type {
  PublishOptions,
  SubscribeOptions,
  Topic,
  TopicGroupState,
  TopicOptions,
  TopicSize,
} from './primitives/topic.ts';
export type { GroupOptions, GroupSize, TopicGroup, TopicJob } from './primitives/topic-group.ts';
export type { TopicFrom } from './primitives/topic-line.ts';
export type { TopicMessage } from './primitives/topic-subscription.ts';
export type { TransactionTopic } from './primitives/transaction/topic.ts';
export type { SessionInfo } from './session/session.ts';
