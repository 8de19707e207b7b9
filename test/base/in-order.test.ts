import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InOrder } from '../../src/base/in-order.ts';
import { randomly } from '../contract/seed.ts';

test('what is under way is as in a Set, whatever comes and goes in whatever order', () => {
  const command = fc.oneof(
    { weight: 5, arbitrary: fc.constant({ do: 'add' as const, at: 0 }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), at: fc.nat({ max: 300 }) }) },
    { weight: 4, arbitrary: fc.constant({ do: 'delete' as const, at: 0 }) },
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 400, size: 'max' }), fc.boolean(), (commands, clears) => {
      const model = new Set<object>();
      const real = new InOrder<object>();
      for (const { do: what, at } of commands) {
        const item = what === 'add' ? {} : ([...model][at] ?? {});
        if (what === 'add') {
          model.add(item);
          real.add(item);
        } else expect(real.delete(item)).toBe(model.delete(item));
        expect([real.has(item), real.size, real.first]).toEqual([model.has(item), model.size, [...model][0]]);
      }
      expect([...real]).toEqual([...model]);
      if (!clears) return;
      expect(real.clear()).toEqual([...model]);
      expect([real.size, real.first, [...real]]).toEqual([0, undefined, []]);
    }),
    randomly(100),
  );
});
