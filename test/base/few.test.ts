import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Few } from '../../src/base/few.ts';
import { randomly } from '../contract/seed.ts';

test('a few are as in a Map, and so are many: also a value that is undefined, and keys that objects have', () => {
  const key = fc.oneof(
    fc.nat({ max: 20 }).map(String),
    fc.constantFrom('', '__proto__', 'constructor', 'a\nb', '\u{1f512}'),
  );
  const value = fc.option(fc.nat(), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.tuple(key, value), { maxLength: 60, size: 'max' }), (sets) => {
      const model = new Map<string, number | undefined>();
      const real = new Few<number | undefined>();
      for (const [of, to] of sets) {
        expect([real.has(of), real.get(of)]).toEqual([model.has(of), model.get(of)]);
        model.set(of, to);
        real.set(of, to);
        expect([real.size, real.has(of), real.get(of)]).toEqual([model.size, true, to]);
        expect(real.values()).toEqual([...model.values()]);
      }
      for (const of of [...model.keys(), 'never']) expect([of, real.get(of)]).toEqual([of, model.get(of)]);
      const each: [string, number | undefined][] = [];
      real.forEach((to, of) => each.push([of, to]));
      expect(each).toEqual([...model]);
    }),
    randomly(100),
  );
});
