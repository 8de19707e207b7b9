import { statSync } from 'node:fs';
import { limits } from '../../base/limits.ts';
import type { Sqlite } from './driver.ts';
import { logBytes } from './schema.ts';

/** The write-ahead log, which is to stay short. */
export interface Log {
  /** To be called after each commit: looks now and then how long the log is. */
  committed(): void;
  /**
   * Moves it into the database, and waits for the disk meanwhile. Never throws. `keepOut` is called when only what was
   * written meanwhile is left to be moved, which can't be while others write, or read what is older.
   */
  shorten(keepOut?: () => void): void;
}

/**
 * SQLite's own way would be to move the log in the middle of a commit, on an event loop that then waits for the disk; all
 * processes that find it long would try so at each commit, and while they write never get to its end: logs of 80 MB were
 * seen with 4 of them. Here a thread is asked to do it that may wait.
 */
export function openLog(sqlite: Sqlite, path: string, isLong: () => void): Log {
  const file = `${path}-wal`;
  // Moves what it can while others write, which is where the disk is waited for.
  const beside = sqlite.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  // Moves the rest while they wait, and lets the next one begin the log anew.
  const alone = sqlite.prepare('PRAGMA wal_checkpoint(RESTART)');
  let commits = 0;

  return {
    committed() {
      commits += 1;
      if (commits < limits.storeCommitsPerLook) return;
      commits = 0;
      if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 2 * logBytes) isLong();
    },
    shorten(keepOut) {
      try {
        for (let tries = 0; tries < limits.storeShortenTries; tries++) {
          const [isBusy, frames, moved] = beside.get() as [number, number, number];
          if (isBusy === 1) return;
          // Else somebody stays in an old snapshot: a backup, or a process whose event loop stands still.
          if (moved * 2 >= frames) keepOut?.();
          if (alone.get()![0] === 0) return;
          Atomics.wait(sleeper, 0, 0, limits.storeShortenPauseMs);
        }
      } catch {
        // Another process is at it, or the disk is full, which the next commit will say.
      }
    },
  };
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
