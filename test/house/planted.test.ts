import { describe, expect, test } from 'vitest';
import { checkOperations } from './operations.ts';
import { checkLengths, checkPublicSurface, checkTimers, checkTitles } from './prose.ts';
import { checkRooms } from './rooms.ts';
import { type Finding, type Sources, report, sources } from './sources.ts';

/** A slip: what is written, and what the rule says to it. */
type Slip = readonly [slip: string, code: string, says: RegExp];

const keys = `interface Keys { owner: string; queue: string }\n`;
const opening = `/** planted */\nimport type { BatchOperation, Operation, Tx } from './tx.ts';\n${keys}`;

/** A statement inside of a step that is correct otherwise. */
const statements: readonly Slip[] = [
  [
    'the time of day',
    'const now = Date.now(); tx.set(keys.owner, ask.token); return now;',
    /Date: nothing from outside/,
  ],
  ['chance', 'return Math.random();', /Math\.random: only Math\.max/],
  ['the type of a value', `return typeof ask.token === 'string' ? 1 : 0;`, /typeof: types are known/],
  ['a regular expression', 'return /a/.test(ask.token) ? 1 : 0;', /a regular expression/],
  ['a method of a text', `return ask.token.startsWith('a') ? 1 : 0;`, /\.startsWith of a text/],
  ['the length of a text', 'return ask.token.length;', /\.length of a text: Lua counts bytes/],
  ['a character of a text', 'return ask.token[0]!;', /a text is taken apart by tx\.part/],
  ['a number in a template', 'tx.set(keys.owner, `${ask.by}`); return 0;', /use tx\.text/],
  ['a number added to a text', `tx.set(keys.owner, 'n' + ask.by); return 0;`, /adds a text and a number/],
  ['a number that becomes text', 'tx.set(keys.owner, ask.by.toFixed(0)); return 0;', /\.toFixed of a number/],
  ['String()', 'tx.set(keys.owner, String(ask.by)); return 0;', /String: nothing from outside/],
  ['Number.parseInt', 'return Number.parseInt(ask.token, 10);', /Number\.parseInt: use tx\.integer/],
  ['the truth of a number', 'if (ask.by) return 1; return 0;', /ask\.by is no boolean/],
  ['the truth of a text', 'return ask.token ? 1 : 0;', /ask\.token is no boolean/],
  ['the truth of what may be absent', 'return !tx.get(keys.owner) ? 1 : 0;', /tx\.get\(keys\.owner\) is no boolean/],
  ['a text or another', 'return tx.get(keys.owner) || ask.token;', /tx\.get\(keys\.owner\) is no boolean/],
  ['loose equality', 'return ask.by == 0 ? 1 : 0;', /== is not the same in Lua/],
  ['a remainder', 'return ask.by % 2;', /% is not the same in Lua/],
  ['a power', 'return ask.by ** 2;', /\*\* is not the same/],
  ['bits', 'return ask.by | 0;', /\| is not the same/],
  ['a fraction', 'return ask.by / 2;', /\/ makes fractions/],
  ['a fraction written out', 'return ask.by * 1.5;', /integers below 2\^53/],
  ['the order of texts', `return ask.token < 'b' ? 1 : 0;`, /the order of texts differs/],
  ['null', 'return tx.get(keys.owner) === null ? 1 : 0;', /null: use undefined/],
  ['a closure', 'const f = () => ask.by; return f();', /a closure/],
  ['a method of an array', 'return tx.lrange(keys.queue, 0, 9).slice(1);', /\.slice of an array/],
  ['a spread', 'return [...tx.lrange(keys.queue, 0, 9)];', /a spread/],
  ['destructuring', 'const [first] = tx.lrange(keys.queue, 0, 9); return first!;', /write array\[0\]/],
  ['a hole in a reply', 'return [tx.get(keys.owner)] as never;', /may be undefined: an array with a hole/],
  [
    'a boolean in a reply',
    'const r: string[] = []; r.push(tx.exists(keys.owner) as never); return r;',
    /needs no cast/,
  ],
  ['a cast', 'return ask.token as never;', /as: an operation needs no cast/],
  ['any', 'const a: any = ask.by; return a;', /any: an operation is fully typed/],
  [
    'a loop without a bound',
    'while (tx.exists(keys.owner)) tx.del(keys.owner); return 0;',
    /while: write for with a bound/,
  ],
  ['for without a bound', 'for (let i = 0; ; i++) if (i > 5) return i;', /a loop without a bound/],
  ['a new object', 'return new Set([ask.by]).size;', /new: in and out/],
  ['an error thrown', `throw new Error('no');`, /throw: say it in the reply/],
  ['try', 'try { return 1; } finally { tx.del(keys.owner); }', /try: an operation/],
  ['a change of an argument', 'ask.by = 1; return ask.by;', /changes an argument/],
  ['optional chaining', 'return tx.get(keys.owner)?.length ?? 0;', /\?\. : compare with undefined/],
  ['a key that is computed', `tx.del(keys.owner + ':x'); return 0;`, /is not a key that the caller named/],
  ['a key out of the data', `const key = tx.get(keys.owner) ?? ''; tx.del(key); return 0;`, /key is not a key/],
  ['output', `console.log('x'); return 0;`, /console: nothing from outside/],
];

/** A whole file of operations. */
const operationFiles: readonly Slip[] = [
  [
    'an import of base',
    `import { limits } from '../base/limits.ts';`,
    /imports \.\.\/base\/limits\.ts: an operation imports types/,
  ],
  ['an import that runs', `import { x } from './tx.ts';`, /imports \.\/tx\.ts: an operation imports types/],
  ['another name for what is imported', `import { guarded as may } from './guard.ts';`, /by the names/],
  ['state', 'let count = 0;', /state outside of the store/],
  ['a table of constants', 'const names = new Map();', /a constant is a number or a text/],
  ['a class', 'class Held {}', /a class: an operation is a function/],
  ['an async function', 'async function f(): Promise<void> {}', /async: an operation is one step/],
  ['a rule switched off', '// oxlint-disable-next-line', /a rule is switched off/],
  ['another name', step('return tx.pttl(keys.owner);', { name: 'lock.steal' }), /must be 'planted\d+.take'/],
  [
    'a write in what is read only',
    step('tx.del(keys.owner); return 0;', { readOnly: true }),
    /is readOnly, and writes here/,
  ],
  [
    'a write further down in what is read only',
    `function f(tx: Tx, keys: Keys): void { tx.del(keys.owner); }\n` +
      step('f(tx, keys); return 0;', { readOnly: true }),
    /is readOnly, and writes here/,
  ],
  ['a read that takes the lock', step('return tx.pttl(keys.owner);', {}), /only reads: say readOnly/],
];

const imports: readonly (readonly [slip: string, path: string, code: string, says: RegExp])[] = [
  ['base importing a session', 'src/base/planted.ts', `import '../session/session.ts';`, /base imports src\/session/],
  [
    'a primitive importing an engine',
    'src/primitives/planted1.ts',
    `import '../engines/memory.ts';`,
    /primitives imports/,
  ],
  [
    'a primitive running the seam',
    'src/primitives/planted2.ts',
    `import { x } from '../engines/engine.ts';`,
    /types of engines\/engine/,
  ],
  [
    'an engine importing a primitive',
    'src/engines/planted1.ts',
    `export * from '../primitives/lock.ts';`,
    /engines imports/,
  ],
  [
    'a type imported the wrong way',
    'src/base/planted2.ts',
    `export type X = import('../open.ts').X;`,
    /base imports src\/open/,
  ],
  [
    'a dynamic import',
    'src/session/planted1.ts',
    `export const x = import('../primitives/lock.ts');`,
    /session imports/,
  ],
  [
    'SQLite outside of its room',
    'src/engines/planted2.ts',
    `import 'node:sqlite';`,
    /node:sqlite is imported in src\/engines\/embedded\//,
  ],
  ['SQLite by require', 'src/session/planted2.ts', `require('better-sqlite3');`, /better-sqlite3 is imported in/],
  [
    'SQLite by process',
    'src/session/planted3.ts',
    `process.getBuiltinModule('node:sqlite');`,
    /node:sqlite is imported in/,
  ],
  ['a client of Redis elsewhere', 'src/cli/planted1.ts', `import { Redis } from 'ioredis';`, /ioredis is imported in/],
  ['a dependency nobody declared', 'src/base/planted3.ts', `import 'lodash/get.js';`, /is no dependency of lockstep/],
  [
    'a test in what is published',
    'src/base/planted4.ts',
    `import '../../test/house/rooms.ts';`,
    /which is not published/,
  ],
  [
    'the CLI behind the front door',
    'src/cli/planted2.ts',
    `import '../session/session.ts';`,
    /cli imports src\/session/,
  ],
  ['an example behind the front door', 'examples/planted.ts', `import '../src/session/session.ts';`, /people copy it/],
  ['a new room', 'src/cache/planted.ts', 'export {};', /cache is no room/],
  ['a room that says nothing', 'src/session/utils/planted.ts', 'export {};', /utils says nothing/],
  ['a file that says nothing', 'src/session/helpers.ts', 'export {};', /helpers says nothing/],
  [
    'a class that says nothing',
    'src/session/planted4.ts',
    'export class LeaseManager {}',
    /class LeaseManager: name what it is/,
  ],
  ['an interface with an I', 'src/session/planted5.ts', 'export interface ILease {}', /interface ILease/],
];

const front = { 'src/index.ts': `export { silent } from './silent.ts';\nexport const x: number = 1;` };
const prose: readonly (readonly [slip: string, path: string, code: string, says: RegExp])[] = [
  ['a silent export', 'src/silent.ts', 'export const silent: number = 1;', /silent is public and says nothing/],
  ['code at the front door', 'src/index.ts', '', /holds exports only/],
  ['a title with a capital', 'test/a.test.ts', `test('Works as it does', () => {});`, /begins with a small letter/],
  ['a title of one word', 'test/b.test.ts', `it('works', () => {});`, /a sentence about behaviour/],
  ['a title with a full stop', 'test/c.test.ts', `test('it works.', () => {});`, /no full stop/],
  ['a wish', 'test/d.test.ts', `it('should work well', () => {});`, /not what it should/],
  ['a long function', 'src/long.ts', `function f(): void {\n${'f();\n'.repeat(70)}}`, /72 lines of its own/],
  ['a length without a name', 'src/timer.ts', 'setTimeout(() => {}, 1500);', /1500 ms: name it/],
];

function step(body: string, { name, readOnly }: { name?: string; readOnly?: true }): string {
  return [
    'export const take: Operation<Keys, { token: string; by: number }, string | number | string[]> = {',
    `  name: '${name ?? 'FILE.take'}', keys: ['owner', 'queue'], args: { token: 'text', by: 'integer' },`,
    readOnly === true ? '  readOnly: true,' : '',
    `  step(tx, keys, ask) { ${body} },`,
    '};',
  ].join('\n');
}

/** One program for all slips of a kind: each is a file of its own. */
function plant(slips: readonly (readonly [path: string, code: string])[]): Sources {
  return sources('src/operations/tx.ts', Object.fromEntries(slips));
}

function of(findings: readonly Finding[], path: string): string {
  return report(findings.filter(({ file }) => file === path));
}

describe('a planted slip is caught:', () => {
  const operations = [
    ...statements.map(([slip, code, says]) => [slip, step(code, {}), says] as const),
    ...operationFiles,
  ];
  const files = operations.map(([, code], i) => {
    return [`src/operations/planted${i}.ts`, opening + code.replaceAll('FILE', `planted${i}`)] as const;
  });
  const inOperations = checkOperations(plant(files));
  test.each(operations.map(([slip, , says], i) => [slip, says, i] as const))('%s', (_, says, i) => {
    expect(of(inOperations, `src/operations/planted${i}.ts`)).toMatch(says);
  });

  const inRooms = checkRooms(plant(imports.map(([, path, code]) => [path, code])));
  test.each(imports)('%s', (_, path, _code, says) => {
    expect(of(inRooms, path)).toMatch(says);
  });

  const inProse = plant(
    Object.entries({ ...Object.fromEntries(prose.map(([, path, code]) => [path, code])), ...front }),
  );
  const found = [checkPublicSurface, checkTitles, checkLengths, checkTimers].flatMap((check) => check(inProse));
  test.each(prose)('%s', (_, path, _code, says) => {
    expect(of(found, path)).toMatch(says);
  });
});

test('a correct operation passes', () => {
  const body = `
    const stored = tx.integer(tx.get(keys.owner) ?? '0') ?? 0;
    const found: string[] = [];
    for (const token of tx.zrange(keys.queue, 0, -1)) found.push(token, ask.token + ':' + tx.text(stored));
    for (let i = 0; i < found.length; i++) if (found[i] === ask.token && ask.by > 0) tx.zrem(keys.queue, found[i]!);
    return stored === 0 ? Math.max(0, Math.floor((ask.by - 1) / 1_000)) : found;`;
  const path = 'src/operations/planted0.ts';
  const planted = plant([[path, opening + step(body, {}).replaceAll('FILE', 'planted0')]]);
  expect(of(checkOperations(planted), path)).toBe('');
});
