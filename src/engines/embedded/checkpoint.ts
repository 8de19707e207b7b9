import { statSync } from 'node:fs';
import { limits } from '../../base/limits.ts';
import type { Sqlite } from './driver.ts';
import { logBytes } from './schema.ts';

/**
 * Keeps the write-ahead log short. To be called after each commit: looks now and then how long the log is.
 *
 * SQLite's own way tries after each commit while the log is long, beside all others that do the same, and never gets to
 * its end while they write: with 4 busy processes, logs of 80 MB were seen. Here the first look that finds a long log
 * copies it into the database beside the writers; one that finds it long still makes them wait for some ms.
 */
export function checkpointer(sqlite: Sqlite, path: string): () => void {
  const beside = sqlite.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  const alone = sqlite.prepare('PRAGMA wal_checkpoint(RESTART)');
  const log = `${path}-wal`;
  let commits = 0;
  let wasLong = false;

  return () => {
    commits += 1;
    if (commits < limits.storeCommitsPerLook) return;
    commits = 0;
    try {
      const isLong = (statSync(log, { throwIfNoEntry: false })?.size ?? 0) > 2 * logBytes;
      if (isLong) (wasLong ? alone : beside).get();
      wasLong = isLong;
    } catch {
      // Another process does it, or the disk is full, which the next commit will say.
      wasLong = true;
    }
  };
}
