import { compareBytes } from '../base/compare-bytes.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import { LockstepError } from '../base/errors.ts';
import type { Tx } from '../operations/tx.ts';
import type { Doorbell, Engine, Inbox } from './engine.ts';
import { openKeepers } from './keeper/keepers.ts';
import { renewBy } from './keeper/renew.ts';
import { type Entry, type Kind, type Wake, isExpired, memoryTx } from './memory/tx.ts';

/** The whole of one key, in a canonical order, to compare engines by. */
export interface KeyDump {
  type: Kind;
  /** A string; elements of a list or set; fields and values; members and scores. */
  value: string | string[] | [string, string][] | [string, number][];
  /** The last millisecond of its life, since 1970. */
  expiresMs: number | undefined;
}

export interface MemoryEngine extends Engine {
  /** Everything that is there now, by key. */
  dump(): Record<string, KeyDump>;
}

/**
 * State in the Maps of this process: for tests, for programs of one process, and the model of the other engines.
 * An engine is a store; all sessions of one store share the one object.
 */
export function memoryEngine(options: { clock?: Clock } = {}): MemoryEngine {
  const clock = options.clock ?? systemClock;
  const entries = new Map<string, Entry>();
  const inboxes = new Map<string, Inbox>();
  const watchers = new Map<string, Set<() => void>>();
  const tx = memoryTx(entries, (session) => inboxes.has(session));
  const sweep = sweeperOf(entries);
  const keepers = openKeepers({
    clock,
    renew: renewBy((renew, keys, args) => run((view) => renew.step(view, keys, args))),
  });
  let closed = false;

  function run<R>(step: (tx: Tx) => R): R {
    if (closed) throw new LockstepError('CLOSED', 'The memory store was closed: open it again.');
    const nowUs = clock.wallUs();
    sweep(nowUs);
    tx.begin(nowUs);
    let reply: R;
    try {
      reply = step(tx);
    } catch (error) {
      tx.rollback();
      throw error;
    }
    for (const wake of tx.commit()) queueMicrotask(() => deliver(wake));
    return reply;
  }

  function deliver({ session, message }: Wake): void {
    const inbox = inboxes.get(session);
    if (inbox !== undefined) return inbox.message(message);
    // Its inbox closed after the step: who sent it is not known here, and any other session can see to it.
    for (const other of inboxes.values()) return other.undelivered(session, message);
  }

  function hangUp(session: string): void {
    inboxes.delete(session);
    const gone = watchers.get(session);
    watchers.delete(session);
    for (const tell of gone ?? []) queueMicrotask(tell);
  }

  return {
    name: 'memory',
    store: entries,
    clock,
    sharesClock: true,
    losesReplies: false,

    run: async (operation, keys, args) => run((view) => operation.step(view, keys, args)),
    runBatch: async (operation, keys, args) => run((view) => operation.step(view, keys, args)),

    // One page each, whatever `count` says: it is all here already, and one page is one moment.
    scan: async (key, _cursor, _count, kind = 'hash') =>
      run((view) => ({ cursor: '', entries: kind === 'set' ? view.sunion([key]) : fieldsOf(view, entries, key) })),
    scanKeys: async (prefix) =>
      run((view) => ({
        cursor: '',
        keys: [...entries.keys()].filter((key) => key.startsWith(prefix) && view.exists(key)),
      })),

    async listen(session, inbox) {
      inboxes.set(session, inbox);
      return doorbellOf(() => {
        if (inboxes.get(session) === inbox) hangUp(session);
      });
    },
    watch(session, gone) {
      let told = false;
      const tell = (): void => {
        if (told) return;
        told = true;
        gone();
      };
      if (!inboxes.has(session)) queueMicrotask(tell);
      else {
        const all = watchers.get(session) ?? new Set();
        watchers.set(session, all.add(tell));
      }
      return () => {
        told = true;
        watchers.get(session)?.delete(tell);
      };
    },

    alive: async (session) => inboxes.has(session),

    keeper: keepers.keeper.bind(keepers),

    async close() {
      closed = true;
      await keepers.close();
      for (const session of inboxes.keys()) hangUp(session);
    },

    dump() {
      const nowUs = clock.wallUs();
      const live = [...entries].filter(([, entry]) => !isExpired(entry, nowUs));
      return Object.fromEntries(live.map(([key, entry]) => [key, dumpOf(entry)]));
    },
  };
}

/** A doorbell keeps the process alive by a timer that never comes. */
function doorbellOf(hangUp: () => void): Doorbell {
  let alive: NodeJS.Timeout | undefined;
  const unref = (): void => {
    clearInterval(alive);
    alive = undefined;
  };
  return {
    ref() {
      alive ??= setInterval(() => {}, limits.timerMsMax);
    },
    unref,
    async close() {
      unref();
      hangUp();
    },
  };
}

/** Looks at two more keys each time, so that what nobody asks for again does not stay for ever. */
function sweeperOf(entries: Map<string, Entry>): (nowUs: number) => void {
  let all = entries.entries();
  return (nowUs) => {
    for (let i = 0; i < 2; i++) {
      const next = all.next();
      if (next.done === true) all = entries.entries();
      else if (isExpired(next.value[1], nowUs)) entries.delete(next.value[0]);
    }
  };
}

function fieldsOf(tx: Tx, entries: ReadonlyMap<string, Entry>, key: string): string[] {
  if (tx.hlen(key) === 0) return [];
  const entry = entries.get(key);
  return entry?.kind === 'hash' ? [...entry.value].flat() : [];
}

function dumpOf({ kind, value, expiresMs }: Entry): KeyDump {
  switch (kind) {
    case 'string':
      return { type: kind, value, expiresMs };
    case 'list':
      return { type: kind, value: [...value], expiresMs };
    case 'set':
      return { type: kind, value: [...value].sort(compareBytes), expiresMs };
    case 'hash':
      return { type: kind, value: [...value].sort(([a], [b]) => compareBytes(a, b)), expiresMs };
    case 'zset':
      return {
        type: kind,
        value: value.members().map((member): [string, number] => [member, value.score(member)!]),
        expiresMs,
      };
  }
}
