import { describe, expect, test } from 'vitest';
import { checkOperations } from './operations.ts';
import { checkLengths, checkPublicSurface, checkTimers, checkTitles } from './prose.ts';
import { checkRooms } from './rooms.ts';
import { type Finding, type Sources, report, sources } from './sources.ts';

const rules: readonly (readonly [title: string, check: (sources: Sources) => Finding[]])[] = [
  ['rooms import only in the direction of the architecture', checkRooms],
  ['operations use only what reads the same in Lua', checkOperations],
  ['everything public says what it promises', checkPublicSurface],
  ['every test is titled with a sentence about behaviour', checkTitles],
  ['every function fits a screen', checkLengths],
  ['every length of time has a name in src/base/limits.ts', checkTimers],
];

describe('the tree', () => {
  const tree = sources('{src,test,examples,bench,scripts}/**/*.ts');
  test.each(rules)('%s', (_, check) => {
    expect(report(check(tree))).toBe('');
  });
});
