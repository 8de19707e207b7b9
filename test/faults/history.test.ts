import { expect, test } from 'vitest';
import { faultsOf, parseHistory } from './history.ts';

const nobody = new Set<string>();
const clean = ['enter 1 a 0 0', 'done 1 a 1 1', 'enter 2 b 1 1', 'done 2 b 2 2'];

function check(lines: readonly string[], dead: ReadonlySet<string> = nobody, total = 2): string[] {
  const totals = { guarded: total, plain: total, sections: total };
  return faultsOf(parseHistory(lines.join('\n')), dead, totals);
}

test('a history in which one came after the other is clean', () => {
  expect(check(clean)).toEqual([]);
  const killed = [...clean, 'enter 3 c 0 0', 'enter 4 a 0 0', 'done 4 a 4 3'];
  expect(check(killed, new Set(['c']), 4)).toEqual([]);
});

test.each<[string, string[], number, RegExp]>([
  ['two inside at once', ['enter 1 a 0 0', 'enter 2 b 0 0', 'done 1 a 1 1', 'done 2 b 1 1'], 2, /two were inside/],
  ['a fence that falls', ['enter 2 a 0 0', 'done 2 a 1 1', 'enter 1 b 0 0', 'done 1 b 2 2'], 2, /fence 1 came after 2/],
  [
    'a fence given twice',
    ['enter 1 a 0 0', 'done 1 a 1 1', 'enter 1 b 0 0', 'done 1 b 2 2'],
    2,
    /fence 1 came after 1/,
  ],
  ['a lost update', ['enter 1 a 0 0', 'done 1 a 1 1', 'enter 2 b 0 0', 'done 2 b 1 2'], 2, /guarded went from 1 to 1/],
  ['a change out of nothing', ['enter 1 a 0 0', 'done 1 a 1 2'], 1, /plain went from 0 to 2/],
  ['one that lives and never left', [...clean, 'enter 3 c 0 0'], 2, /c lives and never left/],
  ['a total that lost something', clean, 1, /sections is 1 after 2/],
  ['a total that counts too much', clean, 3, /sections is 3 after 2/],
])('the check of histories finds %s', (_, lines, total, fault) => {
  let found: string;
  try {
    found = check(lines, nobody, total).join('\n');
  } catch (error) {
    found = String(error);
  }
  expect(found).toMatch(fault);
});
