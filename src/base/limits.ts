/** Every bound of lockstep, with its unit. A bound that users may meet is named in docs/limits.md. */
export const limits = {
  /** The longest timer of Node: ms (24.8 days). */
  timerMsMax: 2_147_483_647,

  /** Longest name of a lock, counter, map, …, and longest `key` given verbatim: UTF-8 bytes. */
  nameBytesMax: 200,
  /** Longest name of a space: UTF-8 bytes. */
  spaceBytesMax: 64,
  /** Longest label of a session: UTF-16 code units. */
  labelLengthMax: 100,
  /** Longest key of a map's entry: UTF-8 bytes. */
  entryKeyBytesMax: 1_024,
  /** Longest encoded value: UTF-16 code units. */
  valueLengthMax: 16_777_216,
  /** Deepest nesting of a value: levels. */
  valueDepthMax: 500,
  /** Adds to a counter that go one by one in one step, where not all of them fit. */
  addsPerStep: 1_000,
  /** Entries of a map that are read at once while it is iterated. */
  entriesPerPage: 200,
  /** Entries of a map that one step reads or writes, and parts of anything that a watch gives at once. */
  entriesPerStepMax: 1_000,
  /** The longest life of a value or an entry: ms (100 years). */
  ttlMsMax: 3_155_760_000_000,

  /** Tries of an update before it queues, and of one whose turn it is before it gives up. */
  updateTries: 10,
  updateTriesInTurn: 100,
  /** So many updates of one session go in one step. */
  updatesTogether: 100,
  /** The longest pause between two of them: ms. */
  updatePauseMsMax: 50,

  /** How often a watch looks for what other programs wrote, where nothing is said: ms; the least and the most. */
  watchRecheckMs: 30_000,
  watchRecheckMsMin: 50,
  watchRecheckMsMax: 60_000,
  /** What changed is remembered for a watch that did not look for so long: ms. */
  watchersMs: 150_000,
  /** Between two tries of a watch to reach a store that is not there: ms. */
  watchRetryMs: 200,

  /** The shortest and the longest window of statistics: ms (366 days). */
  statsWindowMsMin: 100,
  statsWindowMsMax: 31_622_400_000,
  /** Windows of statistics that are kept behind the open one. */
  statsKeepDefault: 24,
  statsKeepMax: 1_000,
  /** The largest value that statistics take, in size: its square, and a sum of 2^53 of those, is far from infinite. */
  statsValueMax: 1e100,
  /** How far around the expected time of the store the windows reach that a record names: ms. */
  statsLeadMs: 500,
  /** How often a record names others, before it gives up. */
  statsTriesMax: 20,
  /** Buckets of a sketch that one record brings. */
  statsBucketsPerStep: 500,
  /** Windows that are read in one step. */
  statsWindowsPerStep: 50,

  /** Members of a sorted set that say where its next page begins, as far as they still have their score. */
  pageAnchors: 8,
  /** Elements or members that one call may give, or has to look at for several sets; more come by iteration. */
  collectionReadMax: 10_000,
  /** Elements or members that one call may write or take out. */
  collectionWriteMax: 10_000,
  /** Sets in one union, intersection or difference. */
  setsCombinedMax: 64,
  /** Who waits to take from a list asks again after this long at the latest, the first in line and the others: ms. */
  takeRecheckMs: 1_000,
  takeRecheckMsMax: 5_000,
  /** For so long a taker says again that it has its element, or brings it back, where the store does not answer: ms. */
  takeSettleMs: 60_000,
  /** For so long at most while its session closes: the store sees that end, and brings back what was handed to it: ms. */
  takeCloseMs: 3_000,

  /** The furthest that a priority is from the normal one. */
  queuePriorityMax: 100,
  /** The longest delay of a message: ms (a year). */
  queueDelayMsMax: 31_622_400_000,
  /** How often a message is delivered before it is dead, where nothing is said. */
  queueDeliveriesDefault: 5,
  /** The highest `maxDeliveries`. */
  queueDeliveriesMax: 1_000_000,
  /** The largest capacity of a queue: messages. */
  queueCapacityMax: 1_000_000_000,
  /** For how long an own id keeps others away, where nothing is said: ms. */
  queueDuplicatesMs: 3_600_000,
  /** Pause before a message whose handler failed is delivered again: ms the first time, the factor of the next, ms at most. */
  queueBackOffMs: 1_000,
  queueBackOffFactor: 2,
  queueBackOffMsMax: 300_000,
  /** Most jobs that one consumer holds at once. */
  queueConcurrencyMax: 10_000,
  /** Messages, and UTF-16 code units of them, pushed in one step. */
  queuePushBatch: 500,
  queuePushLength: 1_048_576,
  /** Deliveries acknowledged, given back, or claimed in one step. */
  queueSettleBatch: 500,
  queueClaimBatch: 50,
  /** A consumer that has all it wants looks so seldom for leases that are over: ms. */
  queueLookMs: 200,
  /** So many claims are made with all keys of a queue after one that needed them. */
  queueFullClaims: 32,
  /** A consumer that waits looks again after this long at the latest, as a wake-up may be lost; jitter on top: ms. */
  queueRecheckMs: 5_000,
  queueRecheckJitterMs: 1_000,
  /** After a message became due, within this: not all consumers at once: ms. */
  queueDueJitterMs: 5,
  /** The longest pause between two tries of a consumer whose store does not answer: ms. */
  queueRetryMsMax: 1_000,
  /** Longest reason that a dead letter keeps: UTF-16 code units. */
  queueReasonLengthMax: 500,
  /** Messages that one step of `redrive`, `discard` or `drain` moves. */
  queueMoveBatch: 200,
  /** The shortest pause between two ticks of a recurring message: ms. */
  queueEveryMsMin: 100,
  /** A tick that is later than this, and than a tenth of its pause, was missed: ms. */
  queueTickLateMs: 1_000,
  /** Who repeats a message looks at the clock so often at least, as it may be set, or the machine may sleep: ms. */
  queueTickLookMs: 3_600_000,
  /** Missed ticks that are made up for. */
  queueTicksMax: 1_000,
  /** Messages shown by one `peek`. */
  queuePeekMax: 1_000,

  /** Longest name of a topic, and of a group as it stands in keys: UTF-8 bytes. */
  topicNameBytesMax: 100,
  /** Messages of a topic that are kept, where nothing is said, and at most. */
  topicKeepDefault: 10_000,
  topicKeepMax: 1_000_000_000,
  /** Messages that a subscriber reads at once. */
  topicReadBatch: 100,

  /** The longest timeout: ms (24.8 days, the longest timer of Node). */
  waitMsMax: 2_147_483_647,

  /** What the wall clock and the monotonic one may differ by over a short time, as they tick: ms. */
  clockGrainMs: 5,

  /** How long a lease lives without renewal, where nothing is said: ms. */
  leaseMsDefault: 10_000,
  /** The shortest lease that survives scheduling noise on one machine: ms. */
  leaseMsMin: 50,
  /** The longest lease: ms (24.8 days, the longest timer of Node). */
  leaseMsMax: 2_147_483_647,
  /** Longest key of a lease, with its space, and longest owner: UTF-8 bytes. */
  leaseKeyBytesMax: 288,
  leaseOwnerBytesMax: 128,
  /** Leases that one thread holds of one store. The remainder of a lease's handle by it is its slot: a low one that is free. */
  leaseSlotsMax: 4_194_304,
  /** Leases renewed in one step. */
  renewBatchMax: 500,
  /** How long a thread that renews leases may take to end by itself: ms. */
  keeperEndMs: 100,
  /** How long renewal keeps the lease of an event loop that does not turn, in lengths of the lease. */
  stallLeases: 10,

  /** The error of a lost lease tells how late the event loop ran, if it was more than this: ms. */
  lagMsWorthTelling: 50,

  /** Hand-overs inside one session before the store is asked again; also the fencing tokens that a grant reserves. */
  handOversInARow: 64,
  /** And while another session waits: fewer locks a second in all, and others get their turn sooner; the same at a server. */
  handOversInARowWanted: 16,
  handOversInARowWantedAfar: 4,
  /** And of a lock that is kept and that nobody else asked for, within `handOverWaitMsMax` of the grant. */
  keptInARow: 1_024,
  /** Locks without holder or waiter that a session remembers. */
  idleLinesMax: 1_000,
  /** How long another session waits before a hand-over inside this one ends: ms. */
  handOverWaitMsMax: 10,

  /** A lock that is shared with programs that do not use lockstep is left open for them so often: ms. */
  openEveryMs: 50,
  /** And for so long, at the most, while sessions of ours wait for it: ms. */
  openMsMax: 10,
  /** A lock that such a program holds is asked for again after this long, and each time later: ms. */
  foreignPollMsMin: 5,
  foreignPollMsMax: 100,

  /** A waiter looks again after this long at the latest, also when the holder's lease is longer: ms. */
  recheckMsMax: 30_000,
  /** A queue of waiters that nobody asked about for this long is gone: ms. */
  queueMs: 300_000,
  /** A wait that timed out asks the store who is in the way, for this long at most: ms. */
  lookMsMax: 1_000,
  /** A waiter looks for a cycle after it waited this long, and again after each such time: ms. */
  deadlockCheckMs: 100,
  /** The longest chain of holders that the search for a cycle follows: locks. */
  deadlockChainMax: 64,
  /** Published waits outlive the waiter's last check by this: ms. */
  waitRecordMs: 2_000,
  /** Cards of sessions that each opening looks at, to remove those of dead processes. */
  cardsPerOpening: 100,
  /** Locks in one `lockAll`. */
  lockAllMax: 64,

  /** Independent servers that vote on one lock. */
  quorumServersMax: 9,
  /** The shortest and, where nothing is said, the longest lease over several servers: ms. */
  quorumLeaseMsMin: 200,
  quorumLeaseMsMaxDefault: 30_000,
  /** A lease is asked for, and renewed, in rounds: the part of its length that a round takes at most, and ms. */
  quorumRoundPart: 8,
  quorumRoundMsMax: 1_000,
  /** One of several servers that does not answer for this long is unavailable: ms. */
  quorumCommandMs: 1_000,
  /** Opening waits so long for servers beyond the majority: ms. */
  quorumStragglersMs: 250,
  /** The pause before another round: at random up to a bound that doubles from the one to the other: ms. */
  quorumPauseMsMin: 5,
  quorumPauseMsMax: 50,
  /** So long a refused session is known to want the lock: longer than it pauses. */
  quorumWantedMs: 150,

  /** Transactions in one step, and what their keys and values may add up to: UTF-16 code units. */
  transactionsPerStep: 128,
  transactionStepLength: 262_144,
  /** Steps of transactions that a session has on their way at once. */
  transactionSteps: 4,
  /** Tries of a transaction before it asks for the commit lock, and tries while it has it. */
  transactionTries: 16,
  transactionLockedTries: 10,
  /** Pauses before another try, of random length: of at least and at most so many ms. */
  transactionPauseMsMin: 0.5,
  transactionPauseMsMax: 20,
  /** Things of a kind whose keys a session remembers for its transactions. */
  transactionPlacesMax: 1_000,
  /** Entries of all maps whose reads a session remembers for its transactions. */
  transactionEntriesMax: 10_000,
  /** Names for which a session keeps a line of transactions: idle ones are forgotten where there are more. */
  transactionLinesMax: 4_096,
  /** Reads and writes in a step that goes by cells. */
  transactionCellsMax: 2_000,
  /** After a step that could not go by cells a session does not try so again for that long: ms. */
  transactionOtherMs: 1_000,
  /** Between two looks whether it is a transaction's turn, where no message told it: ms. */
  transactionTurnMs: 5,
  /** For so long, at most twice, a transaction waits for those of its session that stand before it in line: ms. */
  transactionPlaceMs: 500,
  /** For so long a session asks what came of a commit whose reply was lost: ms. */
  commitLearnMs: 30_000,

  /** A session in which nothing waits or is held any more keeps the process alive for this long: ms. */
  lingerMs: 10,
  /** Longest id of a session, which names its socket: bytes. */
  sessionBytesMax: 24,
  /** Messages for one session that wait for its socket; what is more is dropped, as messages are hints: UTF-16 code units. */
  bellBufferLength: 262_144,
  /** The longest message that an inbox takes: bytes as sent. */
  bellMessageBytesMax: 1_048_576,
  /** Messages of a connection that count as undelivered if its session dies without having read all of them. */
  bellDoubtMax: 64,
  /** A session that takes nothing from its full socket for this long is dialled anew; it may be stopped: ms. */
  bellStallMs: 1_000,
  /** Connections to sessions that nobody watches. */
  bellConnectionsMax: 256,
  /** A connection that nobody used or watched for this long to twice this long is closed: ms. */
  bellIdleMs: 60_000,
  /** The longest pause between two tries to reach a session that is neither there nor gone: ms. */
  bellRetryMsMax: 250,
  /** A session that is neither reached nor found dead for this long may live: ms. */
  bellProbeMs: 50,
  /** Sockets of other sessions that a new session looks at, to clear away those of the dead. */
  bellProbes: 8,

  /** A Redis server that does not answer for this long is unavailable, and its connection given up: ms. */
  redisCommandMs: 5_000,
  /** The same for the connection that renews leases, which may try more often: ms. */
  redisRenewMs: 1_000,
  /** A session that waits or holds asks this often whether its connection for mail is still there: ms. */
  redisPingMs: 5_000,
  /** The pause before another try of what a Redis server refuses for now, such as while it loads: ms. */
  redisAgainMs: 50,
  /** The longest pause between two tries to connect to a Redis server: ms. */
  redisBackOffMsMax: 1_000,
  /** A node of a Redis Cluster that does not say for so long which node has which slot is passed by: ms. */
  redisTopologyMs: 1_000,
  /** A session that waits or holds looks this often whether the masters it listens to still are masters: ms. */
  redisLookMs: 1_000,
  /** A slot of a Redis Cluster that a session did not use for this long to 1.5 times this long is left: ms. */
  redisSlotIdleMs: 300_000,
  /** Renewals at one node of a Redis Cluster wait for those at the others for so long: ms. */
  redisOtherNodesMs: 250,
  /** How long a grant waits for its replicas: ms. */
  redisReplicasMs: 1_000,
  /** The most replicas that a grant can wait for. */
  redisReplicasMax: 100,
  /** A look for commands without an answer that comes so late is put off for so long, once: ms. */
  redisLateMs: 10,
  redisGraceMs: 250,
  /** Keys that one step of a search through all keys of a Redis server looks at. */
  redisScanSteps: 1_000,

  /** Operations in one transaction of the embedded store: others wait so long at most. */
  turnOperationsMax: 512,
  /** The embedded store runs operations for this long before timers and sockets get their turn: ms. */
  turnMsMax: 2,
  /** Tries to get the embedded store's write lock: at once, then with pauses of 50 µs, then of 1 ms. */
  storeSpins: 20,
  storeShortWaits: 20,
  /** For so long an event loop stands still meanwhile; then it turns, and the tries go on: ms. */
  storeStallMsMax: 8,
  /** Between two tries to open an embedded store that another process is making: ms. */
  storeOpenPauseMs: 1,
  /** How long another process may keep the embedded store locked before operations are refused: ms. */
  storeWaitMsMax: 10_000,
  /** Tries to shorten the embedded store's log between the writers of other processes, and the pause before another: ms. */
  storeShortenTries: 50,
  storeShortenPauseMs: 0.2,
  /** For so long a thread stays out of the embedded store at most while its log is shortened: ms. */
  storeOutMsMax: 10,
  /** After so many commits between which nobody else wrote, a connection of the embedded store keeps its snapshot in a turn. */
  storeAloneCommits: 32,
  /** After so many commits a connection looks whether the embedded store's log has grown long. */
  storeCommitsPerLook: 64,
  /** The sweep of the embedded store looks at so many keys, and removes so many rows and gives back so many pages, a step. */
  sweepKeys: 100,
  sweepMembers: 500,
  sweepPages: 200,
  /** So many members of large sorted sets it counts a step. */
  sweepCounts: 2_000,
  /** Between two of its steps: ms; the shorter where much has expired. */
  sweepPauseMsMin: 5,
  sweepPauseMsMax: 100,
} as const;
