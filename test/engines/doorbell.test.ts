import { existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { type Doorbells, openDoorbells } from '../../src/engines/embedded/doorbell.ts';
import { limits } from '../../src/base/limits.ts';
import { cleanUp, deepDirectory, talker, temporaryDirectory, until } from './fixtures/processes.ts';

const opened: Doorbells[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((bells) => bells.close()));
  await cleanUp();
});

function open(directory: string, dead?: (session: string) => void): Doorbells {
  const bells = openDoorbells(directory, dead === undefined ? {} : { dead });
  opened.push(bells);
  return bells;
}

async function peer(directory: string, ...sessions: string[]): Promise<ReturnType<typeof talker>> {
  const other = talker('bell.ts', directory, ...sessions);
  await until(`${sessions.length} sessions listen`, () => other.said.length === sessions.length, 40_000);
  return other;
}

const directories: [string, () => string][] = [['a directory', temporaryDirectory]];
if (process.platform === 'linux') directories.push(['one with a path of 300 bytes', () => deepDirectory(300)]);

const never = (): void => {
  throw new Error('called back without reason');
};

test('a thousand messages of any text arrive in another process in order', async () => {
  const directory = temporaryDirectory();
  const other = await peer(directory, 'b');
  const bells = open(directory);
  const texts = Array.from({ length: 1_000 }, (_, i) => `${i}\n\u0000"é😀\ud800 ${'x'.repeat(i % 50)}`);
  for (const [i, text] of texts.entries()) {
    bells.ring('b', text, never);
    if (i % 7 === 0) await new Promise(setImmediate);
  }
  await until('all arrived', () => other.said.length === 1_001);
  expect(other.said.slice(1).map(([, , text]) => text)).toEqual(texts);
});

test.each(directories)(
  'messages within a process and between processes come back to the sender, in %s',
  async (_, newDirectory) => {
    const directory = newDirectory();
    const other = await peer(directory, 'b');
    const bells = open(directory);
    const got: string[] = [];
    await bells.listen('a', { message: (text) => got.push(text) });
    bells.ring('b', 'echo a one', never);
    bells.ring('a', 'own', never);
    expect(got).toEqual([]);
    await until('both arrived', () => got.length === 2);
    expect(got).toEqual(['own', 'one']);
    expect(other.said).toHaveLength(1);
  },
);

test('a message that is too long as it is sent is lost alone', async () => {
  const directory = temporaryDirectory();
  const got: string[] = [];
  await open(directory).listen('a', { message: (text) => got.push(text) });
  const bells = open(directory);
  bells.ring('a', 'before', never);
  bells.ring('a', '\u0001'.repeat(200_000), never);
  bells.ring('a', 'after', never);
  await until('the others arrived', () => got.length === 2);
  expect(got).toEqual(['before', 'after']);
});

test.each(directories)(
  'a process that is killed is gone for its watchers at once, and its socket is cleared away, in %s',
  async (_, newDirectory) => {
    const directory = newDirectory();
    const other = await peer(directory, 'b');
    const dead: string[] = [];
    const bells = open(directory, (session) => dead.push(session));
    let gone = 0;
    let stopped = 0;
    bells.watch('b', () => gone++);
    bells.watch('b', () => gone++);
    bells.watch('b', () => stopped++)();
    await new Promise(setImmediate);
    other.child.kill('SIGKILL');
    await until('gone', () => gone === 2);
    expect(stopped).toBe(0);
    expect(dead).toEqual(['b']);
    expect(existsSync(join(directory, 'bells', 'b'))).toBe(false);
  },
);

test.each(directories)(
  'a message to a session that is dead is undelivered, exactly once, in %s',
  async (_, newDirectory) => {
    const directory = newDirectory();
    const other = await peer(directory, 'b');
    other.child.kill('SIGKILL');
    await until('exit', () => other.child.signalCode !== null);
    const bells = open(directory);
    let undelivered = 0;
    for (let i = 0; i < 5; i++) bells.ring('b', `${i}`, () => undelivered++);
    bells.ring('never there', 'x', () => undelivered++);
    await until('all called back', () => undelivered >= 6);
    await new Promise((done) => setTimeout(done, 20));
    expect(undelivered).toBe(6);
  },
);

test('messages that a stopped process never read are undelivered when it is killed', async () => {
  const directory = temporaryDirectory();
  const other = await peer(directory, 'b');
  const bells = open(directory);
  bells.ring('b', 'read', () => {}); // counts as undelivered too: nobody knows which one was the last to be read
  await until('read', () => other.said.length === 2);
  other.child.kill('SIGSTOP');
  let undelivered = 0;
  for (let i = 0; i < 3; i++) bells.ring('b', `${i}`, () => undelivered++);
  await new Promise((done) => setTimeout(done, 20));
  expect(undelivered).toBe(0);
  other.child.kill('SIGKILL');
  await until('called back', () => undelivered === 3);
});

test('a stopped process is not dead, blocks nobody, and reads on when it continues', async () => {
  const directory = temporaryDirectory();
  const other = await peer(directory, 'b', 'c');
  const bells = open(directory);
  other.child.kill('SIGSTOP');
  bells.watch('b', never);
  const late = bells.watch('c', never);
  const text = 'x'.repeat(10_000);
  for (let i = 0; i < 1_000; i++) {
    bells.ring('b', text, () => {});
    if (i % 10 === 0) await new Promise(setImmediate);
  }
  late();
  other.child.kill('SIGCONT');
  await until('it reads on', () => other.said.length > 2);
  const before = other.said.length;
  await until('it takes new messages', () => {
    bells.ring('b', 'after', () => {});
    return other.said.slice(before).some(([, , said]) => said === 'after');
  });
  expect(other.child.exitCode).toBeNull();
});

test.each(directories)(
  'a session is alive while its process runs or is stopped, and not once it was killed or closed, in %s',
  async (_, newDirectory) => {
    const directory = newDirectory();
    const other = await peer(directory, 'b', 'c');
    const bells = open(directory);
    const own = await bells.listen('a', { message: never });
    expect(await bells.alive('a')).toBe(true);
    other.child.kill('SIGSTOP');
    expect(await bells.alive('b')).toBe(true);
    expect(await bells.alive('never there')).toBe(false);
    other.child.kill('SIGKILL');
    await until('exit', () => other.child.signalCode !== null);
    const late = open(directory);
    expect(await Promise.all([late.alive('b'), late.alive('c'), late.alive('c')])).toEqual([false, false, false]);
    let gone = false;
    bells.watch('b', () => (gone = true));
    await until('gone', () => gone);
    expect(await bells.alive('b')).toBe(false);
    await own.close();
    expect(await bells.alive('a')).toBe(false);
  },
);

test('a session that nobody can reach may be alive: the answer comes soon, and holds no process', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'bells'));
  const full = talker('full-backlog.ts', join(directory, 'bells', 'f'));
  await until('it listens', () => full.said.length === 1);
  full.child.kill('SIGSTOP');
  const asks = ['1', '2', '3', '4'].map(() => talker('alive.ts', directory, 'f'));
  await until('all ended', () => asks.every((ask) => ask.child.exitCode !== null));
  const said = asks.map((ask) => ask.said[0]!);
  expect(said.map(([alive]) => alive)).toEqual(['true', 'true', 'true', 'true']);
  const longestMs = Math.max(...said.map(([, ms]) => Number(ms)));
  expect(longestMs).toBeGreaterThanOrEqual(limits.bellProbeMs - 1); // it takes two connections, then no more
  expect(longestMs).toBeLessThan(10_000);
});

test.each(directories)(
  'terminate() of a thread is seen by other processes and by its own, in %s',
  async (_, newDirectory) => {
    const directory = newDirectory();
    const worker = new Worker(new URL('./fixtures/bell.ts', import.meta.url), { workerData: [directory, 't'] });
    await new Promise((done) => worker.once('message', done));
    const bells = open(directory);
    let gone = false;
    bells.watch('t', () => {
      gone = true;
    });
    let got = '';
    worker.on('message', ([, , text]: string[]) => (got = text!));
    bells.ring('t', 'hello', never);
    await until('delivered', () => got === 'hello');
    expect(gone).toBe(false);
    await worker.terminate();
    await until('gone', () => gone);
  },
);

test.each(directories)(
  'a closed inbox is gone for watchers in its own process and in others, and leaves no socket, in %s',
  async (_, newDirectory) => {
    const directory = newDirectory();
    const other = await peer(directory, 'b');
    const bells = open(directory);
    const own = await bells.listen('a', { message: never });
    const gone: string[] = [];
    bells.watch('a', () => gone.push('a'));
    bells.watch('b', () => gone.push('b'));
    await own.close();
    await own.close();
    await until('own is gone', () => gone.length === 1);
    other.child.stdin!.write('close\n');
    await until('other is gone', () => gone.length === 2);
    expect(gone).toEqual(['a', 'b']);
    bells.watch('a', () => gone.push('again'));
    await until('gone for late watchers too', () => gone.length === 3);
    expect(readdirSync(join(directory, 'bells'))).toEqual([]);
  },
);

test('two hundred sessions ring one another and see all of a killed process go', async () => {
  const directory = temporaryDirectory();
  const names = Array.from({ length: 200 }, (_, i) => `s${i}`);
  const [first, second] = await Promise.all([
    peer(directory, ...names.slice(0, 100)),
    peer(directory, ...names.slice(100)),
  ]);
  const bells = open(directory);
  const got = new Set<string>();
  await bells.listen('me', { message: (text) => got.add(text) });
  const gone = new Set<string>();
  for (const name of names) {
    bells.watch(name, () => gone.add(name));
    bells.ring(name, `echo me ${name}`, () => {});
  }
  await until('200 answers', () => got.size === 200);
  expect(gone.size).toBe(0);
  second.child.kill('SIGKILL');
  await until('100 gone', () => gone.size === 100);
  first.child.kill('SIGKILL');
  await until('200 gone', () => gone.size === 200);
  await until('sockets cleared away', () => readdirSync(join(directory, 'bells')).length === 1);
});

test('a new session clears away sockets that the dead left and nobody asks about', async () => {
  const directory = temporaryDirectory();
  const other = await peer(directory, 'x', 'y', 'z');
  other.child.kill('SIGKILL');
  await until('exit', () => other.child.signalCode !== null);
  const dead: string[] = [];
  const bells = open(directory, (session) => dead.push(session));
  await bells.listen('a', { message: never });
  await until('all found', () => dead.length === 3);
  expect(dead.toSorted()).toEqual(['x', 'y', 'z']);
  expect(readdirSync(join(directory, 'bells'))).toEqual(['a']);
});

test.runIf(process.platform === 'linux')('sessions whose paths to one directory are long and short meet', async () => {
  const deep = deepDirectory(300);
  const short = join(temporaryDirectory(), 'short');
  symlinkSync(deep, short);
  const [far, near] = await Promise.all([peer(deep, 'f'), peer(short, 'n')]);
  far.child.stdin!.write('ring n hello\n');
  near.child.stdin!.write('ring f hello\n');
  await until('both arrived', () => [far, near].every(({ said }) => said.length === 2));
  expect([far, near].map(({ said }) => said[1])).toEqual(['f', 'n'].map((session) => ['message', session, 'hello']));
  for (const directory of [deep, short]) {
    const gone: string[] = [];
    const bells = open(directory);
    for (const session of ['f', 'n']) bells.watch(session, () => gone.push(session));
    const other = directory === deep ? near : far;
    other.child.kill('SIGKILL');
    await until('gone', () => gone.includes(other === near ? 'n' : 'f'));
  }
  await until('sockets cleared away', () => readdirSync(join(deep, 'bells')).length === 0);
});

test.runIf(process.platform === 'linux')('a long path takes one file descriptor, which is given back', async () => {
  const directory = deepDirectory(300);
  const descriptors = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === join(directory, 'bells');
      } catch {
        return false; // that of reading the list
      }
    }).length;
  const bells = open(directory);
  expect(descriptors()).toBe(0);
  for (const session of ['a', 'b', 'c']) await bells.listen(session, { message: never });
  // Another one is open for as long as the directory is looked through for sockets of the dead.
  await until('one descriptor', () => descriptors() === 1);
  await bells.close();
  await until('none', () => descriptors() === 0);
});
