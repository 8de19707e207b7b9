import { LockstepError } from '../../base/errors.ts';
import { extendedCode, resultCode, sqlite } from './driver.ts';

/** Whether another connection was in the way, so that the same again may succeed. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === sqlite.busy || code === sqlite.locked || code === sqlite.protocol;
}

/**
 * What an error of SQLite means to the user of a directory: `UNAVAILABLE`, what happened, what to do.
 * Any other error stays what it is.
 */
export function failure(error: unknown, directory: string): unknown {
  const code = resultCode(error);
  if (code === undefined) return error;
  return new LockstepError('UNAVAILABLE', textOf(code, error as Error, directory), {
    cause: error,
    details: { directory },
  });
}

/** Another process has had the database for too long. */
export function busyError(directory: string, waitedMs: number): LockstepError {
  return new LockstepError(
    'UNAVAILABLE',
    `Another process has kept ${directory} locked for ${Math.round(waitedMs / 1_000)} s. It may be stopped (SIGSTOP, a debugger) in ` +
      `the middle of a write: let it go on or end it; \`fuser ${directory}/lockstep.db\` shows who has the file open. ` +
      'Nothing was written.',
    { details: { directory, waitedMs } },
  );
}

export function closedError(directory: string): LockstepError {
  return new LockstepError('CLOSED', `The directory ${directory} was closed. Open it again.`, {
    details: { directory },
  });
}

/** The file that this connection has open is not the one that others will open. */
export function removedError(directory: string): LockstepError {
  return new LockstepError(
    'UNAVAILABLE',
    `The database ${directory}/lockstep.db was removed or replaced while it was open, so that what this process writes would be ` +
      'seen by no other. Close lockstep and open it again; end all processes that use a directory before you remove it.',
    { details: { directory } },
  );
}

function textOf(code: number, error: Error, directory: string): string {
  if (code === sqlite.full || extendedCode(error) === sqlite.ioErrorShmSize) {
    return `The disk that holds ${directory} is full. Nothing was written. Make room; this goes on by itself then.`;
  }
  switch (code) {
    case sqlite.corrupt:
    case sqlite.notADatabase:
      return (
        `The database ${directory}/lockstep.db is damaged, or not a database (${error.message}). End the processes that ` +
        `use ${directory}, then restore it from a backup, or move it away to begin anew.`
      );
    case sqlite.readOnly:
    case sqlite.cantOpen:
      return (
        `The database ${directory}/lockstep.db can't be written (${error.message}). Check that this user owns the directory ` +
        'and all files in it, and that it is not on a read-only file system.'
      );
    case sqlite.ioError:
      return (
        `The disk that holds ${directory} failed (${error.message}). Nothing was written. Check the disk and the system's ` +
        'log; try again.'
      );
    case sqlite.error:
      if (!/^no such (?:column|table)/.test(error.message)) return refused(error, directory);
      return (
        `The database ${directory}/lockstep.db has another format by now (${error.message}): a newer lockstep has opened it ` +
        'meanwhile. Nothing was written. Update lockstep here, and start this process again.'
      );
    default:
      return refused(error, directory);
  }
}

function refused(error: Error, directory: string): string {
  return `The database ${directory}/lockstep.db refused a step (${error.message}). Nothing was written.`;
}
