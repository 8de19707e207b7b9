import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { instantNow, later, leftMs, validFor } from '../../src/base/validity.ts';
import { type Database, openDatabase } from '../../src/engines/embedded/database.ts';
import { makeDirectory } from '../../src/engines/embedded/file-system.ts';
import { embeddedKeepers } from '../../src/engines/embedded/keeper.ts';
import type { Keeper, KeeperOptions } from '../../src/engines/engine.ts';
import { renew } from '../../src/operations/lock.ts';
import { type Keepers, openKeepers } from '../../src/engines/keeper/keepers.ts';
import { LeaseTable, LeaseView } from '../../src/engines/keeper/lease-table.ts';
import { Renewals } from '../../src/engines/keeper/renewals.ts';
import { cleanUp, talker, temporaryDirectory, until } from './fixtures/processes.ts';

const closers: (() => Promise<void>)[] = [];
const warnings: string[] = [];
process.removeAllListeners('warning'); // Node's own prints also those that are expected
process.on('warning', (warning) => {
  if (warning.name === 'LockstepWarning') warnings.push(warning.message);
  else console.warn(warning);
});

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  await cleanUp();
  const unexpected = warnings.splice(0);
  if (unexpected.length > 0) throw new Error(`warned: ${unexpected.join('\n')}`);
});

async function openStore(): Promise<{ database: Database; directory: string }> {
  const directory = makeDirectory(temporaryDirectory());
  const database = await openDatabase({ directory, durability: 'normal', clock: systemClock });
  closers.push(() => database.close());
  return { database, directory };
}

async function openKeeper(
  options: Partial<KeeperOptions> = {},
): Promise<{ database: Database; keeper: Keeper; keepers: Keepers }> {
  const { database, directory } = await openStore();
  const keepers = embeddedKeepers(database, { directory, durability: 'normal' }, systemClock);
  closers.push(() => keepers.close());
  return { database, keepers, keeper: keepers.keeper({ maxStallMs: 0, lost: () => {}, ...options }) };
}

function grant(database: Database, key: string, owner: string, ttlMs: number): void {
  database.transact((tx) => tx.setPx(key, owner, String(ttlMs)));
}

/** As after `acquire`. */
function hold(
  at: { database: Database; keeper: Keeper },
  key: string,
  owner: string,
  ttlMs: number,
  maxHoldMs = 0,
): number {
  const sent = instantNow(systemClock);
  grant(at.database, key, owner, ttlMs);
  return at.keeper.keep({ key, owner, ttlMs, until: validFor(sent, ttlMs), maxHoldMs });
}

const ownerOf = (database: Database, key: string): string | undefined => database.transact((tx) => tx.get(key));

/** Stands still, and leaves the processor to others: the event loop does not turn. */
function block(ms: number): void {
  Atomics.wait(still, 0, 0, ms);
}

const still = new Int32Array(new SharedArrayBuffer(4));

/** Stands still until then. */
function blockUntil(what: string, condition: () => boolean, ms = 30_000): void {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    block(5);
  }
}

/** The first lease starts the thread: waits until one is renewed while this event loop does not turn. */
async function warmUp(at: { database: Database; keeper: Keeper }): Promise<void> {
  const ttlMs = 6_000;
  await until('the thread renews', () => {
    grant(at.database, 'warm', 'me', ttlMs);
    const valid = validFor(later(instantNow(systemClock), -0.3 * ttlMs), ttlMs); // due in 0.15 s
    const handle = at.keeper.keep({ key: 'warm', owner: 'me', ttlMs, until: valid, maxHoldMs: 0 });
    block(300);
    const isRenewed = at.keeper.validUntil(handle).monotonicMs > valid.monotonicMs;
    at.keeper.drop(handle);
    return isRenewed;
  });
}

test('a lease is renewed while the event loop is blocked from its first moment on, although the thread begins with it', async () => {
  const at = await openKeeper();
  const handle = hold(at, 'k', 'me', 12_000);
  const before = at.keeper.validUntil(handle).monotonicMs;
  blockUntil('it is renewed', () => at.keeper.validUntil(handle).monotonicMs > before);
  expect(ownerOf(at.database, 'k')).toBe('me');
});

test('a short lease survives a block of many times its length once the thread is up', async () => {
  const at = await openKeeper();
  await warmUp(at);
  const handle = hold(at, 'k', 'me', 1_000);
  block(3_500);
  expect(ownerOf(at.database, 'k')).toBe('me');
  expect(leftMs(at.keeper.validUntil(handle), instantNow(systemClock))).toBeGreaterThan(0);
});

test('validity never promises more than the store', async () => {
  const at = await openKeeper();
  const handle = hold(at, 'k', 'me', 200);
  const end = performance.now() + 1_000;
  while (performance.now() < end) {
    const promised = at.keeper.validUntil(handle).wallMs;
    const inStore = at.database.transact((tx) => tx.nowUs() / 1_000 + Math.max(0, tx.pttl('k')));
    expect(promised).toBeLessThanOrEqual(inStore + 1); // PTTL is rounded
    await new Promise(setImmediate);
  }
});

test('a lease that was dropped is not renewed, whatever comes into its slot', async () => {
  const at = await openKeeper();
  await warmUp(at);
  const first = hold(at, 'a', 'me', 1_000);
  at.keeper.drop(first);
  at.keeper.drop(first);
  const second = hold(at, 'b', 'me', 1_000);
  expect(second).not.toBe(first);
  await until('the dropped one expires', () => ownerOf(at.database, 'a') === undefined);
  expect(ownerOf(at.database, 'b')).toBe('me');
  expect(at.keeper.validUntil(first).monotonicMs).toBe(0);
  at.keeper.drop(first);
  expect(leftMs(at.keeper.validUntil(second), instantNow(systemClock))).toBeGreaterThan(0);
});

test('a lease that the store gave to another is reported lost, once, and keeps its last validity', async () => {
  const lost: number[] = [];
  const at = await openKeeper({ lost: (handle) => lost.push(handle) });
  const other = hold(at, 'other', 'me', 1_500);
  const handle = hold(at, 'k', 'me', 1_500);
  grant(at.database, 'k', 'somebody else', 10_000);
  await until('told', () => lost.length > 0);
  const before = at.keeper.validUntil(other).monotonicMs;
  await until('the other is renewed', () => at.keeper.validUntil(other).monotonicMs > before + 200);
  expect(lost).toEqual([handle]);
  expect(ownerOf(at.database, 'k')).toBe('somebody else');
});

test('a lease that the event loop and the thread both find lost is told of once', async () => {
  const lost: number[] = [];
  const table = new LeaseTable(() => {});
  const ttlMs = 3_000;
  const due = validFor(later(instantNow(systemClock), -ttlMs / 2), ttlMs);
  const never = { monotonicMs: Infinity, wallMs: Infinity };
  table.beat(systemClock.monotonicMs());
  const lease = { key: 'k', owner: 'me', ttlMs, until: due, end: never, stallMs: ttlMs, keeper: 1 };
  const handle = table.keep({ ...lease, dueMs: systemClock.monotonicMs() });
  const renewers = [1, 2].map(() => {
    const view = new LeaseView(table.control, table.memory);
    return new Renewals(
      view,
      systemClock,
      () => Promise.resolve([0]),
      (one) => lost.push(one),
    );
  });
  await Promise.all(renewers.map((renewer) => renewer.turn()));
  expect(lost).toEqual([handle]);
});

test('a place in the table that is used again has the key of its new lease', () => {
  const views: LeaseView[] = [];
  const table = new LeaseTable((chunk) => views.push(new LeaseView(table.control, [chunk])));
  const nowMs = systemClock.monotonicMs();
  const never = { monotonicMs: Infinity, wallMs: Infinity };
  const terms = { owner: 'me', ttlMs: 1_000, until: never, end: never, stallMs: 1_000, keeper: 1, dueMs: nowMs };
  for (const key of ['a', 'b', 'b', 'a longer one', 'a']) {
    const handle = table.keep({ ...terms, key });
    expect(views[0]!.takeDue(nowMs, 10).due.map((lease) => lease.key)).toEqual([key]);
    table.drop(handle);
  }
});

test('an errand is asked for once until it is over; the holder may be kept out of the store meanwhile', () => {
  const table = new LeaseTable(() => {});
  const view = new LeaseView(table.control, []);
  expect([view.errandIsAsked, table.keepsOut]).toEqual([false, false]);
  table.errand();
  expect([view.errandIsAsked, table.keepsOut]).toEqual([true, false]);
  view.keepOut();
  table.errand();
  expect([view.errandIsAsked, table.keepsOut]).toEqual([false, true]);
  view.errandIsOver();
  expect([view.errandIsAsked, table.keepsOut]).toEqual([false, false]);
  table.errand();
  view.keepOut();
  table.recover(); // the thread died
  expect([view.errandIsAsked, table.keepsOut]).toEqual([false, false]);
});

test('renewal ends when the event loop has not turned for longer than maxStall', async () => {
  const maxStallMs = 1_500;
  const at = await openKeeper({ maxStallMs });
  await warmUp(at);
  const from = performance.now();
  hold(at, 'k', 'me', 1_000);
  blockUntil('it ends', () => ownerOf(at.database, 'k') === undefined);
  expect(performance.now() - from).toBeGreaterThan(maxStallMs);
});

test('beats keep a lease alive for longer than maxStall', async () => {
  const at = await openKeeper({ maxStallMs: 1_000 });
  const handle = hold(at, 'k', 'me', 1_000);
  const end = performance.now() + 2_300;
  while (performance.now() < end) {
    at.keeper.beat();
    await new Promise((done) => setTimeout(done, 20));
  }
  expect(ownerOf(at.database, 'k')).toBe('me');
  at.keeper.drop(handle);
});

test('maxHold is the end, in the store and in the validity', async () => {
  const at = await openKeeper();
  const from = systemClock.monotonicMs();
  const handle = hold(at, 'k', 'me', 3_000, 4_500); // long: a busy machine stops its thread for a second
  const end = later(instantNow(systemClock), 4_500);
  let most = 0;
  await until('it ends', () => {
    most = Math.max(most, at.keeper.validUntil(handle).monotonicMs);
    return ownerOf(at.database, 'k') === undefined;
  });
  expect(systemClock.monotonicMs() - from).toBeGreaterThan(3_600); // it was renewed
  expect(most).toBeLessThanOrEqual(end.monotonicMs);
});

test('a session that closes ends the renewal of its own leases only', async () => {
  const at = await openKeeper();
  const second = at.keepers.keeper({ maxStallMs: 0, lost: () => {} });
  hold(at, 'first', 'me', 1_000);
  hold({ database: at.database, keeper: second }, 'second', 'me', 1_000);
  await at.keeper.close();
  await until('the first expires', () => ownerOf(at.database, 'first') === undefined);
  expect(ownerOf(at.database, 'second')).toBe('me');
});

test('close() ends the thread, twice is once, and nothing is renewed any more', async () => {
  const at = await openKeeper();
  await warmUp(at);
  hold(at, 'k', 'me', 200);
  await Promise.all([at.keepers.close(), at.keepers.close()]);
  await until('it expires', () => ownerOf(at.database, 'k') === undefined);
  expect(warnings).toEqual([]);
});

test('a process that holds a lease ends by itself, and with it the renewal', async () => {
  const { database, directory } = await openStore();
  const { child, said } = talker('holder.ts', directory);
  await until('it ends', () => child.exitCode === 0);
  expect(said).toEqual([['kept'], ['exit']]);
  await until('the lease expires', () => ownerOf(database, 'k') === undefined);
});

test('a thread that is terminated while it blocks takes its renewal with it', async () => {
  const { database, directory } = await openStore();
  const { child, said } = talker('holder.ts', directory, 'thread');
  await until('it holds', () => said.length === 1);
  const endInStore = (): number => database.transact((tx) => tx.nowUs() / 1_000 + tx.pttl('k'));
  const first = endInStore();
  await until('renewed while it blocks', () => endInStore() > first + 500);
  child.stdin!.write('now\n');
  await until('terminated', () => said.length === 2);
  expect(said).toEqual([['kept'], ['terminated']]);
  await until('the lease expires', () => ownerOf(database, 'k') === undefined);
});

test('where the thread cannot start, the event loop renews and one is warned', async () => {
  const { database } = await openStore();
  const keepers = openKeepers({
    thread: { module: new URL('./no-such-file.ts', import.meta.url), store: {} },
    clock: systemClock,
    renew: (keys, args) => database.transact((tx) => renew.step(tx, keys, args)),
  });
  closers.push(() => keepers.close());
  const at = { database, keeper: keepers.keeper({ maxStallMs: 0, lost: () => {} }) };
  const handle = hold(at, 'k', 'me', 1_500);
  await until('warned twice', () => warnings.length === 2);
  expect(warnings.splice(0)).toEqual([expect.stringContaining('started again'), expect.stringContaining('event loop')]);
  const shorter = hold(at, 'l', 'me', 1_000);
  const from = systemClock.monotonicMs();
  await until('both would be over', () => systemClock.monotonicMs() - from > 1_600);
  expect(leftMs(at.keeper.validUntil(handle), instantNow(systemClock))).toBeGreaterThan(0);
  expect(leftMs(at.keeper.validUntil(shorter), instantNow(systemClock))).toBeGreaterThan(0);
  expect(ownerOf(database, 'k')).toBe('me');
});

test('leases come and go and are stolen at random: what is dropped stays dropped, what is held is renewed', async () => {
  const random = seeded();
  const lost = new Set<number>();
  const at = await openKeeper({ lost: (handle) => lost.add(handle) });
  await warmUp(at);
  const ttlMs = 1_000;
  const held = new Map<number, { key: string; owner: string; stolen: boolean }>();
  const dropped: { handle: number; key: string; owner: string }[] = [];
  let n = 0;

  const leftOf = (handle: number): number => leftMs(at.keeper.validUntil(handle), instantNow(systemClock));

  function act(): void {
    const handles = [...held.keys()];
    const handle = handles[Math.floor(random() * handles.length)];
    const lease = held.get(handle ?? 0);
    const choice = random();
    if (handle === undefined || lease === undefined || (choice < 0.55 && held.size < 300)) {
      const key = `k${++n}`;
      held.set(hold(at, key, `me:${n}`, ttlMs), { key, owner: `me:${n}`, stolen: false });
    } else if (choice < 0.95) {
      held.delete(handle);
      at.keeper.drop(handle);
      if (!lease.stolen) dropped.push({ handle, ...lease });
    } else {
      lease.stolen = true;
      grant(at.database, lease.key, 'thief', 60_000);
    }
  }

  const end = performance.now() + 2_000;
  while (performance.now() < end) {
    for (let i = 0; i < 20; i++) act();
    at.keeper.beat();
    for (const [handle, lease] of held) {
      if (lost.has(handle) && !lease.stolen) expect(leftOf(handle), `${lease.key} was taken by nobody`).toBeLessThan(0);
    }
    for (const lease of dropped) expect(at.keeper.validUntil(lease.handle).monotonicMs).toBe(0);
    await new Promise(setImmediate);
  }
  const since = systemClock.monotonicMs();
  await until('a lease passes', () => systemClock.monotonicMs() - since > ttlMs + 20);
  for (const { key } of dropped) expect(ownerOf(at.database, key)).toBeUndefined();
  for (const [handle, { key, owner, stolen }] of held) {
    // On a machine with much to do a lease may run out; as long as it says that it is valid, it is.
    if (stolen || leftOf(handle) > 0) expect(ownerOf(at.database, key)).toBe(stolen ? 'thief' : owner);
    if (stolen) await until('told', () => lost.has(handle));
  }
}, 90_000);

test('a thread that renews all the time sees no half lease, and re-arms none that took the place of another', async () => {
  const random = seeded();
  const lost: number[] = [];
  const keeper = openEcho({ lost: (handle) => lost.push(handle) });
  const ttlMs = 100;
  const over = { monotonicMs: 1, wallMs: 1 };
  const held: { handle: number; until: number; renewable: boolean }[] = [];
  let renewed = 0;
  const begun = performance.now();
  const isEnough = (): boolean => performance.now() - begun > (renewed > 100 ? 1_500 : 60_000);
  for (let n = 0; !isEnough(); n++) {
    if (n % 100 === 0) {
      keeper.beat();
      if (n % 10_000 === 0) await new Promise(setImmediate);
    }
    if (held.length < 50 || random() < 0.5) {
      if (held.length > 100) continue;
      const renewable = random() < 0.5;
      const key = `${random() < 0.5 ? 'a much longer key of '.repeat(5) : ''}${n}`;
      const valid = renewable ? later(instantNow(systemClock), 2 + random() * 60) : over;
      const handle = keeper.keep({ key, owner: `owner of ${key}`, ttlMs, until: valid, maxHoldMs: 0 });
      held.push({ handle, until: valid.monotonicMs, renewable });
      continue;
    }
    const [lease] = held.splice(Math.floor(random() * held.length), 1);
    const { monotonicMs } = keeper.validUntil(lease!.handle);
    if (!lease!.renewable) expect(monotonicMs).toBe(1);
    else if (monotonicMs > lease!.until) renewed++;
    else expect(monotonicMs).toBe(lease!.until);
    keeper.drop(lease!.handle);
    expect(keeper.validUntil(lease!.handle).monotonicMs).toBe(0);
  }
  await new Promise(setImmediate);
  expect(lost).toEqual([]);
  expect(renewed).toBeGreaterThan(100);
}, 90_000);

test('a thread that ends unasked is started again and goes on with all leases', async () => {
  const keeper = openEcho();
  const ttlMs = 15_000;
  const soonDue = validFor(later(instantNow(systemClock), -4_500), ttlMs);
  const handle = keeper.keep({ key: 'k', owner: 'owner of k', ttlMs, until: soonDue, maxHoldMs: 0 });
  const crash = keeper.keep({ key: 'crash', owner: 'x', ttlMs, until: soonDue, maxHoldMs: 0 });
  await until('warned', () => warnings.length === 1);
  keeper.drop(crash);
  expect(warnings.splice(0)).toEqual([expect.stringContaining('started again')]);
  const before = keeper.validUntil(handle).monotonicMs;
  await until('renewed', () => keeper.validUntil(handle).monotonicMs > before);
});

test('a hundred thousand leases that are due at once are renewed before one is over', async () => {
  const at = await openKeeper();
  await warmUp(at);
  const count = 100_000;
  const ttlMs = 60_000;
  at.database.transact((tx) => {
    for (let i = 0; i < count; i++) tx.setPx(`k${i}`, `me:${i}`, String(ttlMs));
  });
  // As if granted nearly a third ago: due all at once, in a moment.
  const granted = instantNow(systemClock);
  const due = validFor(later(granted, -ttlMs / 3 + 3_000), ttlMs);
  const handles: number[] = [];
  const before = performance.now();
  for (let i = 0; i < count; i++) {
    handles.push(at.keeper.keep({ key: `k${i}`, owner: `me:${i}`, ttlMs, until: due, maxHoldMs: 0 }));
  }
  const keepUs = ((performance.now() - before) / count) * 1_000;
  const from = performance.now();
  await until(
    'all are renewed',
    () => {
      at.keeper.beat();
      while (handles.length > 0 && at.keeper.validUntil(handles.at(-1)!).monotonicMs > due.monotonicMs) handles.pop();
      return handles.length === 0;
    },
    ttlMs / 2,
  );
  expect(handles).toEqual([]);
  console.log(`keep ${keepUs.toFixed(2)} µs; 100,000 renewed in ${Math.round(performance.now() - from)} ms`);
}, 120_000);

/** Keepers whose own event loop never renews: the thread does all. */
function openEcho(options: Partial<KeeperOptions> = {}): Keeper {
  const keepers = openKeepers({
    thread: { module: new URL('./fixtures/keeper-echo.ts', import.meta.url), store: {} },
    clock: systemClock,
    renew: () => Promise.reject(new Error('not here')),
  });
  closers.push(() => keepers.close());
  return keepers.keeper({ maxStallMs: 0, lost: () => {}, ...options });
}

function seeded(): () => number {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`SEED=${seed}`);
  return randomOf(seed);
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
