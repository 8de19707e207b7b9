import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomly } from '../contract/seed.ts';
import { differ } from './differ.ts';
import { Meaning, program } from './programs.ts';
import { hasRedisServer, type RedisServer, startRedisServer } from './redis-server.ts';
import { embeddedSubject, handClock, memorySubject, redisSubject, type Subject } from './subjects.ts';

/** Each is one change of the generated Lua, as a compiler, a merge or a tired hand might make it. */
const slips: Record<string, [from: RegExp, to: string]> = {
  'half of a condition': [/ask\.expected == "" or /, ''],
  'a dropped delete': [/^ +redis\.call\('ZREM', lock\.queue, ask\.token\)$/m, ''],
  'a forgotten wake-up': [/^ +lock_wakeBehind\(tx, lock, place\)$/m, ''],
  'an off-by-one in an expiry': [/'PEXPIRE', key, lifetime\(ttlMs\)/, "'PEXPIRE', key, lifetime(ttlMs + 1)"],
};

describe.runIf(hasRedisServer)('operations on every engine', () => {
  let server: RedisServer;
  const clock = handClock();
  const subjects: Subject[] = [];

  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(async () => {
    for (const subject of subjects) await subject.close();
    await server.stop();
  });

  function opened(subject: Subject): Subject {
    subjects.push(subject);
    return subject;
  }

  test('random programs get the same replies and wakes and leave the same state', { timeout: 600_000 }, async () => {
    const run = randomly(350);
    console.log(`SEED=${run.seed}`);
    const model = opened(memorySubject(clock));
    const embedded = [opened(await embeddedSubject(clock)), opened(await embeddedSubject(clock, 32))];
    const others = [...embedded, opened(redisSubject(server, clock))];
    await fc.assert(
      fc.asyncProperty(program, (commands) => differ(commands, clock, model, others)),
      run,
    );
  });

  test.for(Object.entries(slips))('%s in the Lua is found', { timeout: 120_000 }, async ([, [from, to]]) => {
    const slipped = opened(
      redisSubject(server, clock, (lua) => {
        expect(lua).toMatch(from);
        return lua.replace(from, to);
      }),
    );
    const model = opened(memorySubject(clock));
    const found = await fc.check(
      fc.asyncProperty(program, (commands) => differ(commands, clock, model, [slipped])),
      { seed: randomly(0).seed, numRuns: 20_000, endOnFailure: true },
    );
    expect(found.failed, `seed ${found.seed}`).toBe(true);
    expect(String(found.errorInstance)).toMatch(/redis replies|sessions heard/);
  });
});

test('programs use every operation', async () => {
  const meaning = new Meaning('all');
  const commands = fc.sample(program, { seed: 1, numRuns: 1_000 }).flat();
  const used = new Set(commands.map((command) => meaning.stepOf(command)?.name));
  const there: string[] = [];
  for (const file of readdirSync('src/operations')) {
    const module = (await import(resolve('src/operations', file))) as Record<string, unknown>;
    for (const each of Object.values(module)) if (isOperation(each)) there.push(each.name);
  }
  expect(there.length).toBeGreaterThan(15);
  expect(there.filter((name) => !used.has(name))).toEqual([]);
});

function isOperation(value: unknown): value is { name: string } {
  return typeof value === 'object' && value !== null && 'step' in value;
}
