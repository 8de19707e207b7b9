import type { BatchOperation } from '../../../src/operations/tx.ts';

/** What an operation must not do: the compiler is to refuse it. */
export const split: BatchOperation<readonly string[]> = {
  name: 'split.split',
  batch: true,
  step(_tx, _keys, args) {
    return args[0]!.split(',');
  },
};
