import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a file of all the room that there is on a disk: its path. */
export function fillDisk(directory: string): string {
  const path = join(directory, 'ballast');
  const file = openSync(path, 'w');
  for (let bytes = 65_536; bytes >= 1; bytes = Math.floor(bytes / 4)) {
    try {
      for (;;) writeSync(file, Buffer.alloc(bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(file);
  return path;
}
