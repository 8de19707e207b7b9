import { limits } from '../../base/limits.ts';
import type { Sqlite } from './driver.ts';

/**
 * The snapshot in which a connection stays between its transactions: the next one that writes goes on from there, unless
 * another connection wrote meanwhile, which SQLite then says (BUSY_SNAPSHOT). So a connection that writes alone makes a
 * third of the system calls for locks, and need not ask whether what it remembers is still so.
 *
 * The log can't begin anew meanwhile: hence never beyond a turn of the event loop (one that stands still lets the log of
 * others grow until it goes on). Where others write too, the try would be in vain: hence only after a while without them.
 */
export interface Snapshot {
  readonly isKept: boolean;
  /** Nobody else has written for a while. */
  readonly isAlone: boolean;
  /** A transaction that writes has begun. `isOwn`: nobody else wrote since the last one. */
  begun(isOwn: boolean): void;
  /** Ends it: what others wrote is seen. */
  drop(): void;
  /** Ends it, as others write. */
  disturb(): void;
  /** Ends it, as the event loop turned. */
  turned(): void;
}

export function snapshotOf(sqlite: Sqlite): Snapshot {
  let leave: (() => void) | undefined;
  /** How many transactions began since others wrote, in this turn, and in the turn before. */
  let alone = 0;
  let inTurn = 0;
  let inTurnBefore = 0;

  function drop(): void {
    leave?.();
    leave = undefined;
  }

  return {
    get isKept() {
      return leave !== undefined;
    },
    get isAlone() {
      return alone >= limits.storeAloneCommits;
    },
    begun(isOwn) {
      alone = isOwn ? alone + 1 : 0;
      inTurn += 1;
      const isLast = inTurn >= inTurnBefore; // as far as the turn before tells: it would be kept for nothing
      if (leave === undefined && !isLast && alone >= limits.storeAloneCommits) leave = sqlite.stay?.();
    },
    drop,
    disturb() {
      alone = 0;
      drop();
    },
    turned() {
      inTurnBefore = inTurn;
      inTurn = 0;
      drop();
    },
  };
}
