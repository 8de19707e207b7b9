import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Lockstep, open } from '../../src/index.ts';
import { failure, until } from '../contract/sessions.ts';
import { look } from './onlooker.ts';
import { leaveNobodyBehind, temporaryDirectory } from './processes.ts';
import { fillDisk } from './small-disk.ts';

leaveNobodyBehind();

const disk = smallDisk();
if (disk === undefined)
  console.warn('SKIPPED: what happens on a full disk, as no tmpfs can be mounted here (that takes root)');

test.skipIf(disk === undefined)(
  'a full disk refuses what it can not hold, and takes everything again when there is room',
  async () => {
    const directory = disk!();
    const shared = await look(join(directory, 'shared'));
    const counter = shared.counter('c');
    await counter.add();
    const ballast = fillDisk(directory);
    await exhaust(shared);

    const error = await failure(counter.add());
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
    expect(error.message).toContain('is full');
    expect(await failure(shared.lock('x').acquire({ timeout: '5s' }))).toMatchObject({ code: 'UNAVAILABLE' });
    const before = await counter.get(); // what is read needs no room
    const entries = await keysOf(shared);
    expect(await failure(shared.map('m').set('new', 'x'.repeat(10_000)))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await failure(open(join(directory, 'another')))).toMatchObject({ code: 'UNAVAILABLE' });

    rmSync(ballast);
    expect(await counter.add()).toBe(before + 1);
    expect(await keysOf(shared)).toEqual(entries); // nothing of what was refused is there
    await shared.map('m').set('new', 'there');
    await (await shared.lock('x').acquire({ timeout: '30s' })).release();
    expect((await shared.lock('x').inspect()).holder).toBeUndefined();
  },
);

test.skipIf(disk === undefined)(
  'a lease whose renewal finds the disk full is lost in time, and the lock is free afterwards',
  async () => {
    const directory = disk!();
    const shared = await look(join(directory, 'shared'));
    const lease = await shared.lock('x', { ttl: 1_500 }).acquire();
    const { signal } = lease;
    const ballast = fillDisk(directory);
    await exhaust(shared);
    await until('the lease is lost', () => signal.aborted);
    expect(lease.remaining()).toBe(0);
    expect(signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'expired' } });
    await lease.release();

    rmSync(ballast);
    const next = await shared.lock('x').acquire({ timeout: '30s' });
    expect(next.fence).toBeGreaterThan(lease.fence);
  },
);

const damages: Record<string, (file: string) => void> = {
  'is no database': (file) => writeFileSync(file, 'To whom it may concern. '.repeat(1_000)),
  'was cut in the middle': (file) => truncateSync(file, Math.floor(statSync(file).size / 2)),
  'has been written over': (file) => overwrite(file),
};

test.each(Object.entries(damages))(
  'a database that %s is refused with a clear error, and is left as it is',
  async (_, damage) => {
    const directory = temporaryDirectory();
    const shared = await open(directory);
    for (let i = 0; i < 300; i++) await shared.map('m').set(`k${i}`, 'x'.repeat(200));
    await shared.close(); // the last to close writes everything into the one file
    const file = join(directory, 'lockstep.db');
    damage(file);
    const damaged = readFileSync(file);

    const error = await failure(readAll(directory));
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
    expect(error.message).toMatch(/damaged, or not a database.*move it away/);
    expect(readFileSync(file).equals(damaged)).toBe(true);
  },
);

async function readAll(directory: string): Promise<void> {
  const shared = await open(directory);
  try {
    await keysOf(shared);
  } finally {
    await shared.close();
  }
}

async function keysOf(shared: Lockstep): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of shared.map('m').keys()) keys.push(key);
  return keys;
}

/** All but the first page, which says that it is a database. */
function overwrite(file: string): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, Buffer.alloc(statSync(file).size - 1_024, 0xa5), 0, undefined, 1_024);
  closeSync(descriptor);
}

/** The log of the database has some room of its own: writes less and less until that is used up too. */
async function exhaust(shared: Lockstep): Promise<void> {
  const map = shared.map('m');
  await useUp((i) => map.set(`long ${i}`, 'x'.repeat(50_000)));
  await useUp((i) => map.set(`short ${i}`, ''));
  await useUp(() => shared.counter('ballast').add());
}

async function useUp(write: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0, refused = 0; refused < 10; i++) {
    expect(i).toBeLessThan(10_000);
    try {
      await write(i);
    } catch (error) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE' });
      refused += 1;
    }
  }
}

/** Mounts disks of 4 MiB, gone when their tests are finished; undefined where this user may not. */
function smallDisk(): (() => string) | undefined {
  const mount = (directory: string): void => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory], { stdio: 'ignore' });
  };
  try {
    mount('/mnt');
    execFileSync('umount', ['/mnt']);
  } catch {
    return undefined;
  }
  return () => {
    const directory = temporaryDirectory();
    mount(directory);
    onTestFinished(() => void execFileSync('umount', ['--lazy', directory]));
    return directory;
  };
}
