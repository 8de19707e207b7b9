import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockstep, node, openAt, temporaryDirectory, until, untilStdinEnds } from './cli.ts';

describe('a lock held from the shell', () => {
  test('keeps 20 programs apart, each with a higher fence than the one before', { timeout: 90_000 }, async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'n'), '0\n');
    const script = 'n=$(cat n); echo $LOCKSTEP_LOCK $LOCKSTEP_FENCE >> log; echo $((n + 1)) > n';
    const runs = Array.from({ length: 20 }, () => lockstep(directory, 'exec', 'n', '--', 'sh', '-c', script));
    for (const run of runs) expect([await run.exit, run.stderr()]).toEqual([0, '']);

    expect(readFileSync(join(directory, 'n'), 'utf8')).toBe('20\n');
    const fences = readFileSync(join(directory, 'log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => Number(line.replace(/^n /, '')));
    expect(fences).toHaveLength(20);
    expect(fences.toSorted((a, b) => a - b)).toEqual(fences);
    expect(new Set(fences).size).toBe(20);
  });

  test('is free for the next at once when lockstep is killed -9', { timeout: 90_000 }, async () => {
    const directory = temporaryDirectory();
    const holder = lockstep(directory, 'exec', 'job', '--ttl', '1h', '--', ...untilStdinEnds);
    await holder.prints('started');
    const next = lockstep(directory, 'exec', 'job', '--', 'echo', 'mine');
    const lock = (await openAt(directory)).lock('job');
    await until(
      async () => (await lock.inspect()).waiters.length === 1,
      () => 'the next one waits',
    );

    holder.child.kill('SIGKILL');
    await next.prints('mine');
    expect(await next.exit).toBe(0);
  });

  test('is given back when its command ends, and the state is there for the test as well', async () => {
    const directory = temporaryDirectory();
    const shared = await openAt(directory);
    const lease = await shared.lock('job').acquire();
    const run = lockstep(directory, 'exec', 'job', '--label', 'nightly', '--', 'sh', '-c', 'exit 3');
    await until(
      async () => (await shared.lock('job').inspect()).waiters[0]?.session.label === 'nightly',
      () => 'it waits',
    );
    await lease.release();
    expect(await run.exit).toBe(3);
    expect(await shared.lock('job').tryAcquire()).toBeDefined();
  });
});

describe('the exit code', () => {
  test('is that of the command, and 128 and n where signal n ended it', async () => {
    const directory = temporaryDirectory();
    const six = lockstep(directory, 'exec', 'a', '--', 'sh', '-c', 'exit 6');
    const killed = lockstep(directory, 'exec', 'b', '--', 'sh', '-c', 'kill -KILL $$');
    expect(await six.exit).toBe(6);
    expect(await killed.exit).toBe(137);
  });

  test('is 127 where there is no such command and 126 where it may not be run, and the lock is free', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'text'), '', { mode: 0o600 });
    const absent = lockstep(directory, 'exec', 'a', '--', 'no-such-program');
    const text = lockstep(directory, 'exec', 'b', '--', './text');
    expect(await absent.exit).toBe(127);
    expect(absent.stderr()).toBe('lockstep: "no-such-program" can\'t be run: there is no such program\n');
    expect(await text.exit).toBe(126);
    const shared = await openAt(directory);
    expect(await shared.lock('a').tryAcquire()).toBeDefined();
    expect(await shared.lock('b').tryAcquire()).toBeDefined();
  });

  test('is 75 on a time-out, with one line that says who holds the lock', async () => {
    const directory = temporaryDirectory();
    const holder = lockstep(directory, 'exec', 'job', '--label', 'deploy of Monday', '--', ...untilStdinEnds);
    await holder.prints('started');
    const late = lockstep(directory, 'exec', 'job', '--timeout', '100ms', '--', 'echo', 'never');
    expect(await late.exit).toBe(75);
    expect(late.stdout()).toBe('');
    expect(late.stderr()).toMatch(/^lockstep: lock "job" was not free within 100 ms: [^\n]*\n$/);
    expect(late.stderr()).toContain(`"deploy of Monday" (pid ${holder.pid} on `);
    const once = lockstep(directory, 'exec', 'job', '--timeout', '0', '--', 'echo', 'never');
    expect(await once.exit).toBe(75);
    expect(once.stderr()).toContain('lock "job" is not free');
  });
});

describe('signals', () => {
  test('go to the command, whose answer counts', async () => {
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
    const directory = temporaryDirectory();
    const script = `
      for (const name of ${JSON.stringify(names)}) process.on(name, () => console.log('got ' + name));
      process.stdin.resume().on('end', () => process.exit(9));
      console.log('started');
    `;
    const run = lockstep(directory, 'exec', 'job', '--', node, '-e', script);
    await run.prints('started');
    for (const name of names) {
      run.child.kill(name);
      await run.prints(`got ${name}`);
    }
    run.child.stdin!.end();
    expect(await run.exit).toBe(9);
    expect(run.stdout().match(/got/g)).toHaveLength(names.length);
    expect(run.stderr()).toBe('');
  });

  test('end the wait for a lock, and the place in the line', async () => {
    const directory = temporaryDirectory();
    const shared = await openAt(directory);
    const lock = shared.lock('job');
    await lock.acquire();
    const run = lockstep(directory, 'exec', 'job', '--', 'echo', 'never');
    await until(
      async () => (await lock.inspect()).waiters.length === 1,
      () => 'it waits',
    );
    run.child.kill('SIGINT');
    expect(await run.exit).toBe(130);
    expect([run.stdout(), run.stderr()]).toEqual(['', '']);
    expect((await lock.inspect()).waiters).toEqual([]);
  });
});

describe('a lost lock', () => {
  test('ends its command by TERM, and lockstep says why', async () => {
    const directory = temporaryDirectory();
    const run = lockstep(directory, 'exec', 'job', '--', ...untilStdinEnds);
    await run.prints('started');
    expect(await (await openAt(directory)).lock('job').forceRelease()).toBe(true);
    expect(await run.exit).toBe(70);
    expect(run.stderr()).toMatch(/^lockstep: .*"job".*\nlockstep: ending the command\n$/);
  });

  test('ends by KILL, after a grace, a command that takes no notice', async () => {
    const directory = temporaryDirectory();
    const script = `
      process.on('SIGTERM', () => console.log('no'));
      process.stdin.resume().on('end', () => process.exit());
      console.log('started');
    `;
    const run = lockstep(directory, 'exec', 'job', '--grace', '300ms', '--', node, '-e', script);
    await run.prints('started');
    await (await openAt(directory)).lock('job').forceRelease();
    expect(await run.exit).toBe(70);
    expect(run.stdout()).toBe('started\nno\n');
  });
});
