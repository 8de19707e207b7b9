import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { limits } from '../../../src/base/limits.ts';
import { type Database, openDatabase } from '../../../src/engines/embedded/database.ts';
import { makeDirectory } from '../../../src/engines/embedded/file-system.ts';
import { embeddedEngine } from '../../../src/engines/embedded/embedded.ts';
import { openSqlite } from '../../../src/engines/embedded/driver.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { add, get } from '../../../src/operations/counter.ts';
import { by, counterAt, exact } from '../../counting.ts';
import type { BatchOperation } from '../../../src/operations/tx.ts';
import { type Talker, cleanUp, talker, temporaryDirectory, until } from '../fixtures/processes.ts';

const keys = counterAt('n');
const silent = { readOnly: false, listens: () => false, wake: () => {} };
const engines: Engine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  await cleanUp();
});

async function openEngine(directory: string): Promise<Engine> {
  const engine = await embeddedEngine({ directory });
  engines.push(engine);
  return engine;
}

function program(what: string, directory: string, number = 0): Talker {
  return talker('../embedded/program.ts', what, directory, String(number));
}

async function ended(one: Talker): Promise<void> {
  await until('a process ends', () => one.child.exitCode !== null || one.child.signalCode !== null, 80_000);
}

async function valueIn(engine: Engine): Promise<number> {
  return Number((await engine.run(get, keys, exact))[1]);
}

/** A step that is not one of lockstep's own. */
function step<R extends string | number>(name: string, run: BatchOperation<R>['step']): BatchOperation<R> {
  return { name, batch: true, step: run };
}

test('additions by four processes at once are exact', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  const adders = Array.from({ length: 4 }, () => program('add', directory, 3_000));
  await Promise.all(adders.map(ended));
  expect(await valueIn(engine)).toBe(12_000);
  console.log('worst waits, ms:', adders.map(({ said }) => said[0]?.[1]).join(' '));
});

test('all processes get their share while they compete', async () => {
  const directory = temporaryDirectory();
  const adders = Array.from({ length: 4 }, () => program('for-ever', directory));
  await until('all have added', () => adders.every(({ said }) => said.length > 100));
  const before = adders.map(({ said }) => said.length);
  await until('one has added much', () => adders.some(({ said }, i) => said.length - before[i]! > 3_000));
  const shares = adders.map(({ said }, i) => said.length - before[i]!);
  console.log(
    'shares of 4 processes:',
    shares.join(' '),
    'min/max',
    (Math.min(...shares) / Math.max(...shares)).toFixed(2),
  );
  expect(Math.min(...shares)).toBeGreaterThan(0);
});

test('no acknowledged write is lost when writers are killed', async () => {
  const directory = temporaryDirectory();
  let acknowledged = 0;
  for (let kill = 0; kill < 20; kill++) {
    const writer = program('for-ever', directory);
    const enough = 1 + Math.floor(Math.random() * 200);
    await until('it writes', () => writer.said.length >= enough);
    writer.child.kill('SIGKILL');
    await ended(writer);
    acknowledged += writer.said.length;
    expect(Number(writer.said.at(-1)![0])).toBeGreaterThanOrEqual(acknowledged);
    acknowledged = Number(writer.said.at(-1)![0]);
  }
  const engine = await openEngine(directory);
  const value = await valueIn(engine);
  expect(value).toBeGreaterThanOrEqual(acknowledged);
  expect(value).toBeLessThanOrEqual(acknowledged + 1); // committed, and killed before it could say so
});

test('what a process was about to write when it was killed never happened', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  await engine.run(add, keys, by(7));
  const stuck = program('stay', directory);
  await until('it is inside', () => stuck.said.length > 0);
  const pending = engine.run(add, keys, by(1));
  expect(await valueOf(directory)).toBe(7); // reading waits for nobody
  stuck.child.kill('SIGKILL');
  expect(await pending).toEqual(['ok', '8']);
  expect((await engine.scanKeys('', '', 10)).keys).toEqual(['n']);
});

/** Over a connection of its own, in whose queue no write waits. */
async function valueOf(directory: string): Promise<number> {
  const engine = await embeddedEngine({ directory, durability: 'full' });
  const value = await valueIn(engine);
  await engine.close();
  return value;
}

test('what a thread was about to write when it was terminated never happened', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  await engine.run(add, keys, by(7));
  const thread = new Worker(new URL('program.ts', import.meta.url), { argv: ['stay', directory], stdout: true });
  await once(thread.stdout, 'data');
  const pending = engine.run(add, keys, by(1));
  await thread.terminate();
  expect(await pending).toEqual(['ok', '8']);
});

test('many processes can open a new directory at once', async () => {
  const many = process.env['CI'] === undefined ? 16 : 50;
  const directory = join(temporaryDirectory(), 'new');
  const openers = Array.from({ length: many }, () => program('once', directory));
  await Promise.all(openers.map(ended));
  expect(openers.map(({ child }) => child.exitCode)).toEqual(openers.map(() => 0));
  expect(await valueIn(await openEngine(directory))).toBe(many);
}, 90_000);

test('the engines of one directory in one thread share one connection, until the last is closed', async () => {
  const directory = temporaryDirectory();
  const first = await openEngine(directory);
  const second = await openEngine(`${directory}/../${directory.split('/').at(-1)!}`);
  const [, ours] = await Promise.all([first.run(add, keys, by(1)), second.run(add, keys, by(1))]);
  expect(ours).toEqual(['ok', '2']);
  await first.close();
  await expect(first.run(add, keys, by(1))).rejects.toMatchObject({ code: 'CLOSED' });
  expect(await second.run(add, keys, by(1))).toEqual(['ok', '3']);
  expect(existsSync(join(directory, 'lockstep.db-wal'))).toBe(true);
  await Promise.all([second.close(), second.close()]);
  expect(existsSync(join(directory, 'lockstep.db-wal'))).toBe(false);
});

test('closing ends what was asked for before', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  const added = Array.from({ length: 2_000 }, () => engine.run(add, keys, by(1)));
  await engine.close();
  expect((await Promise.all(added)).at(-1)).toEqual(['ok', '2000']);
});

test('a step that throws rejects alone and leaves no trace', async () => {
  const engine = await openEngine(temporaryDirectory());
  const spoil = step('spoil', (tx) => {
    tx.set('n', '100');
    tx.hset('h', 'field', 'value');
    throw new Error('spoilt');
  });
  const results = await Promise.allSettled([
    engine.run(add, keys, by(1)),
    engine.runBatch(spoil, [], []),
    engine.run(add, keys, by(1)),
    engine.run(add, counterAt('h'), by(1)),
  ]);
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason)))).toEqual([
    ['ok', '1'],
    'Error: spoilt',
    ['ok', '2'],
    ['ok', '1'],
  ]);
});

test('a connection that wrote alone for a while sees at once what another one writes, in steps that write or only read', async () => {
  const directory = temporaryDirectory();
  const one = await openEngine(directory);
  const other = await embeddedEngine({ directory, durability: 'full' }); // has a connection of its own
  engines.push(other);
  const spoil = step('spoil', (tx) => {
    tx.set('n', '100');
    throw new Error('spoilt');
  });
  let sum = 0;
  const adds = async (engine: Engine): Promise<void> => {
    sum += 1;
    expect(await engine.run(add, keys, by(1))).toEqual(['ok', String(sum)]);
  };
  for (let round = 0; round < 80; round++) {
    for (let i = 0; i < 40; i++) await adds(one);
    for (const inTurn of [6, 6, 3]) {
      await new Promise((turned) => setImmediate(turned));
      for (let i = 0; i < inTurn; i++) await adds(one);
    }
    if (round % 3 === 0) await expect(one.runBatch(spoil, [], [])).rejects.toThrow('spoilt');
    await adds(other);
    if (round % 2 === 0) expect(await valueIn(one)).toBe(sum);
  }
});

test('a connection that writes alone stays in its snapshot, no longer than the event loop takes to turn', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  const other = openSqlite(join(directory, 'lockstep.db'));
  const checkpoint = other.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  /** Whether all of the log could be moved into the database. */
  const isWhole = (): boolean => {
    const [, frames, moved] = checkpoint.get()!;
    return frames === moved;
  };
  let wasHeldBack = false; // on a busy machine the event loop may turn in between
  for (const endMs = performance.now() + 30_000; !wasHeldBack && performance.now() < endMs;) {
    for (let i = 0; i < 50; i++) await engine.run(add, keys, by(1));
    wasHeldBack = !isWhole();
    await new Promise((turned) => setImmediate(turned));
    expect(isWhole()).toBe(true);
  }
  other.close();
  expect(wasHeldBack).toBe(true);
});

test('messages of a step are sent when it is committed, and never if it is not', async () => {
  const engine = await openEngine(temporaryDirectory());
  const heard: string[] = [];
  const bell = await engine.listen('me', {
    message: (text) => heard.push(text),
    undelivered: () => {},
    resync: () => {},
  });
  const spoil = step('spoil', (tx) => {
    tx.wake('me', 'from nowhere');
    throw new Error('spoilt');
  });
  const tell = step('tell', (tx, _keys, [text]) => String(tx.wake('me', text!)));
  const [told, , toldAgain] = await Promise.allSettled([
    engine.runBatch(tell, [], ['one']),
    engine.runBatch(spoil, [], []),
    engine.runBatch(tell, [], ['two']),
  ]);
  expect([told, toldAgain]).toMatchObject([{ value: 'true' }, { value: 'true' }]);
  await until('both are heard', () => heard.length >= 2);
  expect(heard).toEqual(['one', 'two']);
  await bell.close();
  expect(await engine.runBatch(tell, [], ['three'])).toBe('false');
});

test('timers and sockets get their turn while a task asks without pause', async () => {
  const engine = await openEngine(temporaryDirectory());
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const endMs = performance.now() + 30_000;
  while (turns < 30 && performance.now() < endMs) await engine.run(add, keys, by(1));
  clearInterval(timer);
  expect(turns).toBeGreaterThanOrEqual(30);
});

test('a thread that is asked to stay out of the store keeps no snapshot and turns its event loop until it may go on', async () => {
  const directory = makeDirectory(temporaryDirectory());
  let asksToStayOut = 0;
  const isKeptOut = (): boolean => asksToStayOut > 0 && --asksToStayOut > 0;
  const database = await openDatabase({ directory, durability: 'normal', clock: systemClock, isKeptOut });
  const other = openSqlite(join(directory, 'lockstep.db'));
  const write = (): Promise<number> =>
    database.run({ ...silent, step: (tx) => tx.hset('h', 'f', String(performance.now())) });
  let wasAlone = false; // on a busy machine it may be that it must not stay out any longer
  for (const endMs = performance.now() + 30_000; !wasAlone && performance.now() < endMs;) {
    for (let i = 0; i < 50; i++) await write(); // it keeps a snapshot now
    asksToStayOut = 10;
    const written = write();
    await new Promise((ticked) => process.nextTick(ticked)); // behind the write's, before the event loop turns
    const [busy] = other.prepare('PRAGMA wal_checkpoint(RESTART)').get()!;
    wasAlone = busy === 0 && asksToStayOut === 9;
    await written;
    asksToStayOut = 0; // it goes on in time, also where the disk was slow
  }
  other.close();
  await database.close();
  expect(wasAlone).toBe(true);
});

test('a thread does not stay out of the store for ever, and not at all where others write', async () => {
  const directory = makeDirectory(temporaryDirectory());
  let asked = 0;
  const keptOut = (): boolean => {
    asked += 1;
    return true;
  };
  let isKeptOut = (): boolean => false;
  const options = { directory, durability: 'normal', clock: systemClock } as const;
  const database = await openDatabase({ ...options, isKeptOut: () => isKeptOut() });
  const other = await openDatabase(options);
  // Each at the beginning of a turn: in one that has taken 2 ms it is not noticed who writes.
  const write = async (through: Database): Promise<number> => {
    await new Promise((turned) => setImmediate(turned));
    return through.run({ ...silent, step: (tx) => tx.hset('h', 'f', String(performance.now())) });
  };
  for (let i = 0; i < 50; i++) await write(database);
  isKeptOut = keptOut;
  const beganMs = performance.now();
  await write(database);
  expect(performance.now() - beganMs).toBeGreaterThanOrEqual(limits.storeOutMsMax);
  isKeptOut = () => false;
  await write(database);
  await write(other);
  await write(database); // it sees that there is another
  asked = 0;
  isKeptOut = keptOut;
  await write(database);
  expect(asked).toBe(1);
  await database.close();
  await other.close();
});

test('no thread is kept out of the store for a log that cannot be moved, as somebody stays in an old snapshot', async () => {
  const directory = makeDirectory(temporaryDirectory());
  const database = await openDatabase({ directory, durability: 'normal', clock: systemClock });
  let written = 0;
  const write = (): Promise<number> =>
    database.run({ ...silent, step: (tx) => tx.hset('h', String(written++), 'x'.repeat(1_000)) });
  const reader = openSqlite(join(directory, 'lockstep.db'));
  await write();
  reader.exec('BEGIN');
  expect(reader.prepare('SELECT count(*) FROM hashes').get()).toEqual([1]);
  for (let i = 0; i < 200; i++) await write();
  let asked = 0;
  const keepOut = (): void => void (asked += 1);
  database.shortenLog(keepOut);
  expect(asked).toBe(0);
  reader.exec('COMMIT');
  database.shortenLog(keepOut);
  expect(asked).toBe(1);
  reader.close();
  await database.close();
});

test('a file is mapped into memory once it is larger than what SQLite keeps of it', async () => {
  const directory = makeDirectory(temporaryDirectory());
  const database = await openDatabase({ directory, durability: 'normal', clock: systemClock });
  const isMapped = async (): Promise<boolean> => {
    database.check();
    await database.run({ ...silent, readOnly: true, step: (tx) => tx.hget('h', '0') });
    return /lockstep\.db$/m.test(readFileSync('/proc/self/maps', 'utf8'));
  };
  const fill = (from: number, to: number): Promise<unknown> =>
    database.run({
      ...silent,
      step(tx) {
        for (let i = from; i < to; i++) tx.hset('h', String(i), 'x'.repeat(1_000));
        return 1;
      },
    });
  await fill(0, 1_000);
  database.shortenLog(); // into the file
  expect(await isMapped()).toBe(false);
  await fill(1_000, 8_000);
  database.shortenLog();
  expect(await isMapped()).toBe(true);
  await database.close();
});

test('what has expired leaves the disk while the store is used', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  const fill = step('fill', (tx, filled) => {
    for (const key of filled) tx.setPx(key, 'x'.repeat(500), '2000');
    for (let i = 0; i < 2_000; i++) tx.hset('large', String(i), 'x'.repeat(500));
    return tx.pexpire('large', 2_000);
  });
  await engine.runBatch(
    fill,
    Array.from({ length: 4_000 }, (_, i) => `key:${i}`),
    [],
  );
  await engine.runBatch(
    step('pass', () => 0),
    [],
    [],
  );
  const bytes = (): number => statSync(join(directory, 'lockstep.db')).size;
  // A page is of so many rows, of which it shows the ones that live: `n` stands behind `key:…` and `large`.
  const firstPage = async () => (await engine.scanKeys('', '', 10)).keys;
  const grown = 4_000 * 500;
  const deadline = performance.now() + 60_000;
  let hasGrown = false; // the log is moved into the file by a thread, which takes its time
  let isSwept = false; // the file is smaller as soon as a part is gone
  for (let asked = 0; performance.now() < deadline && !isSwept; asked++) {
    await engine.run(add, keys, by(1));
    hasGrown ||= bytes() >= grown;
    isSwept = hasGrown && bytes() < grown && (await firstPage()).length > 0;
    if (asked % 200 === 0) await new Promise((done) => setTimeout(done, 5));
  }
  expect(hasGrown).toBe(true);
  expect(bytes()).toBeLessThan(grown);
  expect(await firstPage()).toEqual(['n']);
}, 90_000);
