/**
 * The guard of a write: the owner key of the lock that the write was made under.
 *
 *   guard  string  whoever owns the lock: `session:ask:ttlMs:fence:sinceUs`
 *
 * - A guarded step looks before its first write, and writes nothing where the guard is over.
 */
import type { Tx } from './tx.ts';

/** Whether a write may happen: `owner` still owns the lock, or is '' for a write without a guard. */
export function guarded(tx: Tx, guard: string, owner: string): boolean {
  return owner === '' || tx.get(guard) === owner;
}
