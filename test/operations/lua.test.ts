import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { compileOperations } from '../../scripts/lua/compile.ts';
import { readOperations } from '../../scripts/lua/source.ts';
import { add, get } from '../../src/operations/counter.ts';
import { acquire } from '../../src/operations/lock.ts';
import { set } from '../../src/operations/map.ts';
import { by, counterAt, exact } from '../counting.ts';
import { redisRunner } from '../../src/engines/redis/runner.ts';
import { operationScripts, Scripts } from '../../src/engines/redis/scripts.ts';
import { hasRedisServer, type RedisServer, sendingBy, startRedisServer } from './redis-server.ts';

const lua = readFileSync('src/engines/redis/operations.lua', 'utf8');

const compiling = { timeout: 60_000 }; // it is the whole of TypeScript's checker, twice

test('operations.lua is what src/operations compiles to', compiling, () => {
  expect(lua, 'run `npm run lua`').toBe(compileOperations(resolve('src/operations')));
});

test('operations.lua calls no library code', () => {
  expect(lua).not.toMatch(/__TS__|____exports|\brequire\b/);
});

test('a script has the functions that it uses, and no others', () => {
  const script = operationScripts().of('lock.release').text;
  expect(script).toContain('function tx_nowUs(');
  expect(script).toContain('function lock_handOn(');
  expect(script).not.toContain('function lock_enqueue(');
});

test('a step that ends early has made no table of its keys and arguments', () => {
  const script = operationScripts().of('lock.release').text;
  expect(script).toContain("if (redis.call('GET', KEYS[1]) or nil) ~= ARGV[1] then");
  expect(script.indexOf('{owner = KEYS[1]')).toBeGreaterThan(script.indexOf("redis.call('DEL', KEYS[1])"));
});

test('what only a branch needs is made there, and a function that ends a branch is not made at all', () => {
  const script = operationScripts().of('lock.acquire', { wait: 1, fences: 64, queueMs: 1_000 }).text;
  const [free = '', held = ''] = script.split("local owner = (redis.call('GET', KEYS[1]) or nil)");
  expect(free).toContain("redis.call('SET', key, owner, 'PX', ttlMs)");
  expect(free).not.toContain('function lock_grant(');
  expect(free.indexOf('function tx_integer(')).toBeGreaterThan(free.indexOf('#text == #since'));
  expect(held).toContain('function lock_grant(');
});

test('a variable that a branch sets is there behind it; a branch that ends the step has its own', () => {
  const script = new Scripts(ticking).of('clock.look').text;
  expect(script.split('local startedUs\n')).toHaveLength(3);
  expect(script.indexOf('local startedUs\n')).toBeGreaterThan(script.indexOf("'leaves' then"));
  const [, behind = ''] = script.split("'stays' then");
  expect(behind).not.toContain('local startedUs');
  expect(behind.split('function tx_nowUs()')).toHaveLength(3);
});

test('a branch may be empty, and what is given to a function without parameters is computed', () => {
  const script = new Scripts(ticking).of('clock.empty').text;
  expect(script).toContain("if args[1] == '0' then");
  expect(script).toContain('local _ = redis.call(');
});

test('a call stands where it was if its function may end without an answer, calls itself, or is made already', () => {
  const script = (name: string): string => new Scripts(ticking).of(name).text;
  expect(script('clock.quiet')).toContain('return clock_silent(');
  expect(script('clock.again')).toContain('return clock_down(');
  expect(script('clock.sum')).toContain('return clock_one() + clock_one()');
  expect(script('clock.twice')).toContain('return clock_one()');
});

function calling(step: string): string {
  return `--==[ clock.${step} ]==\nlocal args = ARGV\nreturn clock_${step}Step(KEYS, args)\n`;
}

const ticking = `--==[ tx ]==
local startedUs

function tx:nowUs()
  if startedUs == nil then
    startedUs = redis.call('TIME')[1]
  end
  return startedUs
end

--==[ clock ]==
function clock_lookStep(tx, keys, args)
    if args[1] == 'leaves' then
        return tx:nowUs()
    end
    local from = 0
    if args[1] == 'stays' then
        from = tx:nowUs()
    end
    return tx:nowUs() - from
end

function clock_silent(a)
    if a == 0 then
        return 1
    end
end

function clock_quietStep(tx, keys, args)
    if args[1] == '0' then
        return clock_silent(0)
    end
    return 2
end

function clock_down(n)
    if n == 0 then
        return 0
    end
    return clock_down(n - 1)
end

function clock_againStep(tx, keys, args)
    return clock_down(3)
end

function clock_one()
    return 1
end

function clock_emptyStep(tx, keys, args)
    if args[1] == '0' then
    end
    return clock_one(redis.call('DEL', 'k'))
end

function clock_sumStep(tx, keys, args)
    return clock_one() + clock_one()
end

function clock_twiceStep(tx, keys, args)
    local first = clock_one()
    return clock_one()
end

${['look', 'quiet', 'again', 'empty', 'sum', 'twice'].map(calling).join('\n')}`;

test('a script holds what its file takes from others, once, and nothing else of them', () => {
  const script = operationScripts().of('map.set').text;
  expect(script.split('function guard_guarded(')).toHaveLength(2);
  expect(script).toContain('function watch_changed(');
  expect(script).not.toContain('function watch_look(');
});

test('what is 0 or empty at the end of the arguments is not sent; settings are in the script', async () => {
  const sent: { text: string; words: string[] }[] = [];
  const { run } = redisRunner(async ({ text }, words) => sent.push({ text, words }));
  const lock = { owner: 'o', queue: 'q', fences: 'f' };
  const ask = { token: 's:1:500', ttlMs: '500', gives: '', fences: 64, queueMs: 1_000 };
  await run(acquire, lock, { ...ask, wait: 1 });
  await run(acquire, lock, { ...ask, wait: 0, gives: '0' });
  const map = { map: 'm', expiry: 'e', watchers: 'w', guard: 'g' };
  const entry = { field: '', value: '0', ms: 0, owner: '' };
  await run(set, map, entry);
  await run(set, map, { ...entry, ms: 5 });
  await run(set, map, { ...entry, owner: 'me' });
  expect(sent.map(({ words }) => words.slice(1 + Number(words[0])))).toEqual([
    ['s:1:500', '500'],
    ['s:1:500', '500', '0'],
    ['', '0'],
    ['', '0', '5'],
    ['', '0', '0', 'me'],
  ]);
  expect(sent[0]!.text).toMatch(/KEYS\[3\],\s*64,/);
  expect(sent[0]!.text).toContain('wait = 1, fences = 64, queueMs = 1000}');
  expect(sent[1]!.text).toContain('wait = 0, fences = 64, queueMs = 1000}');
  expect(sent[0]!.text + sent[1]!.text).not.toContain('SETTING');
});

test('verbs of one line stand in the place of their calls', () => {
  expect(lua).toContain("if (redis.call('GET', lock.owner) or nil) ~= ask.owner then");
  expect(lua).toContain("redis.call('ZRANGE', lock.queue, '0', '0')[1]"); // and numbers are texts already
});

test.for([
  [
    'a name that is not file.export',
    "export const add: Operation<A, B, C> = { name: 'counter.plus' };",
    /must be 'counter.add'/,
  ],
  [
    'an argument that is always sent behind one that is not',
    "export const add: Operation<A, B, C> = { name: 'counter.add', keys: [], args: { a: 'text?', b: 'text' } };",
    /come after the others/,
  ],
  ['a word of Lua', "export const end: Operation<A, B, C> = { name: 'counter.end' };", /word of Lua/],
  [
    'a step that is no method',
    "export const add: Operation<A, B, C> = { name: 'counter.add', keys: [], args: {}, step: () => 1 };",
    /step must be a method/,
  ],
] as const)('the compiler refuses %s', ([, source, message]) => {
  expect(() => readOperations('counter', source)).toThrow(message);
});

test('the compiler refuses what needs library code, and says where', compiling, () => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-operations-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const operations = relative(directory, resolve('src/operations')).replaceAll('\\', '/');
  writeFileSync(join(directory, 'split.ts'), splitting(operations));
  expect(() => compileOperations(directory)).toThrow(/split.ts compiles to Lua that calls __TS__StringSplit/);
});

test('a file of operations uses functions and constants of another, under whatever name', compiling, () => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-operations-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const operations = relative(directory, resolve('src/operations')).replaceAll('\\', '/');
  writeFileSync(join(directory, 'plus-one.ts'), lending);
  writeFileSync(join(directory, 'user.ts'), borrowing(operations));
  const script = new Scripts(compileOperations(directory)).of('user.both').text;
  expect(script).toContain('local plus_one_by = 1');
  expect(script).toContain('function plus_one_next(');
  expect(script).not.toContain('function plus_one_unused(');
  expect(script).toMatch(/local integer = plus_one_next\(#keys\)\n\s*return integer \+ plus_one_by$/);
});

const lending = `
export const by = 1;
export function next(integer: number): number {
  return integer + by;
}
export function unused(): number {
  return by;
}
`;

const borrowing = (operations: string): string => `
import type { BatchOperation } from '${operations}/tx.ts';
import * as plus from './plus-one.ts';
import { next as after } from './plus-one.ts';
export const both: BatchOperation<number> = {
  name: 'user.both',
  batch: true,
  step(tx, keys, args) {
    return plus.next(after(keys.length));
  },
};
`;

/** An operation that takes a text apart by JavaScript's own means. */
const splitting = (operations: string): string => `
import type { BatchOperation } from '${operations}/tx.ts';
export const split: BatchOperation<readonly string[]> = {
  name: 'split.split',
  batch: true,
  step(tx, keys, args) {
    return args[0]!.split(',');
  },
};
`;

describe.runIf(hasRedisServer)('in a real server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.stop());

  test('every script loads', async () => {
    const client = server.connect();
    const scripts = operationScripts();
    for (const operation of scripts.operations()) {
      expect(await client.script('LOAD', scripts.of(operation).text), operation).toMatch(/^[0-9a-f]{40}$/);
    }
  });

  test('a server that forgot a script gets it again', async () => {
    const client = server.connect();
    const { run } = redisRunner(sendingBy(client));
    await client.script('FLUSH');
    expect(await run(add, counterAt('c'), by(2))).toEqual(['ok', '2']);
    await client.script('FLUSH');
    expect(await run(get, counterAt('c'), exact)).toEqual(['ok', '2']);
  });

  test('a key of another type is WRONG_KIND, and named', async () => {
    const client = server.connect();
    await client.rpush('list', 'a');
    const refused = redisRunner(sendingBy(client)).run(get, counterAt('list'), exact);
    await expect(refused).rejects.toMatchObject({ code: 'WRONG_KIND', details: { keys: ['list'] } });
  });
});
