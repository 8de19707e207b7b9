import { resolve } from 'node:path';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Engine, Inbox } from '../engine.ts';
import type { Keepers } from '../keeper/keepers.ts';
import { type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { type Doorbells, openDoorbells } from './doorbell.ts';
import { closedError } from './failure.ts';
import { makeDirectory } from './file-system.ts';
import { embeddedKeepers } from './keeper.ts';
import type { RankSizes } from './ranks.ts';
import { socketPathError } from './socket-paths.ts';
import { type Sweep, sweepOf } from './sweep.ts';
import type { SqliteTx, Wake } from './tx.ts';

export interface EmbeddedOptions {
  /** Made, with all above it, if it is absent. */
  directory: string;
  /**
   * `normal`: what was acknowledged survives the death of any process; a loss of power may take the last moments with it,
   * never more. `full`: it survives a loss of power too; each transaction waits for the disk.
   */
  durability?: 'normal' | 'full';
  clock?: Clock;
  /** For tests, as the next. */
  ranks?: RankSizes;
  /** For a directory that has no sessions, whose threads use all bits. */
  hashBits?: number;
}

/**
 * State in a SQLite database in a directory, for all threads and processes of one machine.
 * Rejects with `INVALID_ARGUMENT` for a path that can't be used, `UNAVAILABLE` for a database that can't be.
 */
export async function embeddedEngine(options: EmbeddedOptions): Promise<Engine> {
  const { durability = 'normal', clock = systemClock, ranks, hashBits } = options;
  const tooLong = socketPathError(resolve(options.directory));
  if (tooLong !== undefined) throw tooLong;
  const directory = makeDirectory(options.directory);
  // A clock or sizes of its own (in tests) mean a connection of its own.
  const isUsual = clock === systemClock && ranks === undefined && hashBits === undefined;
  const name = isUsual ? `${durability} ${directory}` : Symbol(directory);
  const place = enter(name, { directory, durability, clock, ranks, hashBits });
  try {
    return engineOn(await place.parts, directory, clock, () => leave(name, place));
  } catch (error) {
    await leave(name, place);
    throw error;
  }
}

/** What all engines of a thread on one directory share: one connection, whose turn's work is one transaction. */
interface Place {
  readonly parts: Promise<Parts>;
  engines: number;
}

interface Parts {
  readonly database: Database;
  readonly sweep: Sweep;
  readonly doorbells: Doorbells;
  readonly keepers: Keepers;
}

const places = new Map<string | symbol, Place>();

function enter(name: string | symbol, options: DatabaseOptions): Place {
  let place = places.get(name);
  if (place === undefined) places.set(name, (place = { parts: openParts(options), engines: 0 }));
  place.engines++;
  return place;
}

async function openParts(options: DatabaseOptions): Promise<Parts> {
  const { directory, durability, clock } = options;
  const logIsLong = (): void => {
    if (!keepers.errand()) database.shortenLog();
  };
  const database = await openDatabase({ ...options, logIsLong, isKeptOut: () => keepers.keepsOut() });
  const keepers = embeddedKeepers(database, { directory, durability }, clock);
  return { database, sweep: sweepOf(database), doorbells: openDoorbells(directory), keepers };
}

/** One engine less; the last one closes. */
async function leave(name: string | symbol, place: Place): Promise<void> {
  if (--place.engines > 0) return;
  if (places.get(name) === place) places.delete(name);
  const parts = await place.parts.catch(() => undefined);
  if (parts === undefined) return;
  parts.sweep.stop();
  await parts.keepers.close();
  await parts.doorbells.close();
  await parts.database.close();
}

function engineOn(parts: Parts, directory: string, clock: Clock, left: () => Promise<void>): Engine {
  const { database, sweep, doorbells, keepers } = parts;
  const inboxes = new Map<string, Inbox>();
  let closing: Promise<void> | undefined;

  function run<R>(step: (tx: SqliteTx) => R, readOnly: boolean): Promise<R> {
    if (closing !== undefined) return Promise.reject(closedError(directory));
    sweep.used();
    return database.run({ step, readOnly, listens, wake });
  }

  const listens = (session: string): boolean => doorbells.listens(session);

  function wake({ session, message }: Wake): void {
    doorbells.ring(session, message, () => undelivered(session, message));
  }

  /** Whichever session of this engine sent it, any of them can see to it. */
  function undelivered(session: string, message: string): void {
    for (const inbox of inboxes.values()) return inbox.undelivered(session, message);
  }

  return {
    name: `embedded ${directory}`,
    store: `embedded ${directory}`,
    clock,
    sharesClock: true,
    losesReplies: false,

    run: (operation, keys, args) => run((tx) => operation.step(tx, keys, args), operation.readOnly === true),
    runBatch: (operation, keys, args) => run((tx) => operation.step(tx, keys, args), operation.readOnly === true),

    scan: (key, cursor, count, kind = 'hash') =>
      run((tx) => (kind === 'set' ? tx.spage(key, cursor, count) : tx.hpage(key, cursor, count)), true),
    scanKeys: (prefix, cursor, count) => run((tx) => tx.keysPage(prefix, cursor, count), true),

    async listen(session, inbox) {
      const bell = await doorbells.listen(session, inbox);
      inboxes.set(session, inbox);
      return {
        ref: () => bell.ref(),
        unref: () => bell.unref(),
        async close() {
          inboxes.delete(session);
          await bell.close();
        },
      };
    },
    watch: (session, gone) => doorbells.watch(session, gone),
    alive: (session) => doorbells.alive(session),

    keeper: (options) => keepers.keeper(options),

    close() {
      // What was asked for before runs before this.
      closing ??= database.run({ step: () => undefined, readOnly: true, listens, wake }).then(left, left);
      return closing;
    },
  };
}
