/** Steps over cells beside plain JavaScript: what each request is told, and what is there afterwards. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import * as cells from '../../src/operations/cells.ts';
import { randomly } from '../contract/seed.ts';
import { type CellPlaces, cellRequests, cellStepOf } from './transactions.ts';

type Text = string | undefined;

interface Token {
  readonly verb: string;
  readonly cell: number;
  readonly texts: readonly string[];
}

/** Of `['=', '4', '1', '#', '4', '2', ';']`, for example, two. */
function tokensOf(request: readonly string[]): Token[] {
  const tokens: Token[] = [];
  const lengths: Record<string, number> = { '~': 2, '0': 0, '-': 0 };
  for (let at = 0; request[at] !== ';';) {
    const verb = request[at]!;
    const length = lengths[verb] ?? 1;
    tokens.push({ verb, cell: Number(request[at + 1]), texts: request.slice(at + 2, at + 2 + length) });
    at += 2 + length;
  }
  return tokens;
}

function isAsExpected({ verb, texts }: Token, now: Text): boolean {
  if (verb === '=' || verb === '~') return now === texts[0];
  return (verb !== '0' && verb !== '+') || now === undefined;
}

/** What a token makes of a text. */
function written({ verb, texts }: Token, now: Text, places: CellPlaces): Text {
  if (verb === '=' || verb === '0') return now;
  if (verb === '#' && places !== 'one map') return String(BigInt(now ?? '0') + BigInt(texts[0]!));
  return verb === '-' ? undefined : texts.at(-1);
}

/** What the request leaves; nothing where it is refused. */
function carriedOut(request: readonly string[], before: readonly Text[], places: CellPlaces): Text[] | undefined {
  const tokens = tokensOf(request);
  if (!tokens.every((token) => isAsExpected(token, before[token.cell]))) return undefined;
  const now = [...before];
  for (const token of tokens) now[token.cell] = written(token, now[token.cell], places);
  return now;
}

const step = fc.record({ asked: cellRequests, from: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }) });
const places = fc.constantFrom<CellPlaces>('mixed', 'one map', 'two maps');

test('requests are carried out in their order, whole or not at all, and are told so', async () => {
  const found = { ok: 0, conflict: 0 };
  await fc.assert(
    fc.asyncProperty(places, fc.array(step, { minLength: 1, maxLength: 8 }), async (where, steps) => {
      const engine = memoryEngine();
      const space = keysOf('test');
      let now: readonly Text[] = Array.from({ length: 5 }, () => undefined);
      for (const { asked, from } of steps) {
        const outcomes: string[] = [];
        for (const request of asked) {
          const left = carriedOut(request, now, where);
          outcomes.push(left === undefined ? 'conflict' : 'ok');
          found[left === undefined ? 'conflict' : 'ok'] += 1;
          now = left ?? now;
        }
        const shown = now.map((text) => text ?? 0);
        const { keys, args } = cellStepOf(space, 'me', '', where, asked, from);
        const reply = await engine.runBatch(cells.commit, keys, args);
        expect(reply.slice(0, 2)).toEqual(['now', ['', ...outcomes].join(':')]);
        const wanted = outcomes.includes('conflict') ? shown : from === undefined ? [] : shown.slice(from);
        expect(reply.slice(2)).toEqual(wanted);
        const look = cellStepOf(space, '', '', where, [], undefined);
        expect(await engine.runBatch(cells.look, look.keys.slice(2), look.args.slice(2))).toEqual([
          'now',
          '',
          ...shown,
        ]);
      }
    }),
    randomly(500),
  );
  expect(Math.min(found.ok, found.conflict)).toBeGreaterThan(100);
});
