import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { compileOperations, operationsLua } from '../../scripts/lua/compile.ts';
import { linked, readOperations } from '../../scripts/lua/source.ts';
import { add, get } from '../../src/operations/counter.ts';
import { redisRunner, scriptsOf } from '../../src/engines/redis/runner.ts';
import { hasRedisServer, type RedisServer, startRedisServer } from './redis-server.ts';

const lua = readFileSync('src/engines/redis/operations.lua', 'utf8');

const compiling = { timeout: 60_000 }; // it is the whole of TypeScript's checker, twice

test('operations.lua is what src/operations compiles to', compiling, () => {
  expect(lua, 'run `npm run lua`').toBe(operationsLua(compileOperations(resolve('src/operations'))));
});

test('operations.lua calls no library code', () => {
  expect(lua).not.toMatch(/__TS__|____exports|\brequire\b/);
});

test('a script has the verbs that it uses, and no others', () => {
  const script = scriptsOf(lua).get('map')!;
  expect(script).toContain('function tx:hset');
  expect(script).not.toContain('function tx:rpush');
});

test('a script holds what its file takes from others, once, and nothing else of them', () => {
  const script = scriptsOf(lua).get('map')!;
  expect(script.split(/^(?:local )?function guarded\b/m)).toHaveLength(2);
  expect(script).toContain('function changed');
  expect(script).not.toMatch(/function (?:look|forget)\b/);
  expect(scriptsOf(lua).has('guard')).toBe(false);
});

test('the compiler refuses two things of one name in a script', () => {
  const guard = readOperations('guard', 'export function set(): void {}');
  const map = readOperations('map', "import { set } from './guard.ts'; function set(): void {}");
  expect(() => linked(map, () => guard)).toThrow(/map.ts: set of guard.ts meets that of map.ts/);
});

test.for([
  [
    'a name that is not file.export',
    "export const add: Operation<A, B, C> = { name: 'counter.plus' };",
    /must be 'counter.add'/,
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
    for (const script of scriptsOf(lua).values()) {
      expect(await client.script('LOAD', script)).toMatch(/^[0-9a-f]{40}$/);
    }
  });

  test('a server that forgot a script gets it again', async () => {
    const client = server.connect();
    const { run } = redisRunner(client);
    await client.script('FLUSH');
    expect(await run(add, { counter: 'c' }, { by: 2 })).toEqual(['ok', '2']);
    await client.script('FLUSH');
    expect(await run(get, { counter: 'c' }, {})).toEqual(['ok', '2']);
  });

  test('a key of another type is WRONG_KIND, and named', async () => {
    const client = server.connect();
    await client.rpush('list', 'a');
    const refused = redisRunner(client).run(get, { counter: 'list' }, {});
    await expect(refused).rejects.toMatchObject({ code: 'WRONG_KIND', details: { keys: ['list'] } });
  });
});
