import { mkdirSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { invalidArgument, LockstepError } from '../../base/errors.ts';

/**
 * Makes a directory that only this user may read, if it is absent: its real path. `INVALID_ARGUMENT` where there can't
 * be one, or on a network file system; `UNAVAILABLE` where this user may not make it.
 */
export function makeDirectory(given: string): string {
  if (given.includes('\0')) throw invalidArgument('directory', given, 'a path, which has no zero byte in it');
  const path = resolve(given);
  refuseLongPath(path);
  let directory: string;
  try {
    makeLevels(path);
    directory = realpathSync(path);
  } catch (error) {
    throw directoryError(path, error as NodeJS.ErrnoException);
  }
  refuseLongPath(directory);
  refuseNetworkDisk(directory);
  return directory;
}

/**
 * Makes a directory that only this user may read, with all above it, where they are absent. Node's own `recursive` spins
 * for ever where the system says ENOENT below a directory that is there, as it does in /proc.
 */
export function makeLevels(path: string): void {
  if (isDirectory(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeLevels(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isDirectory(path)) throw error; // else another process was faster
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** A path as errors show it: a long one without its middle. */
export function shortened(path: string): string {
  return path.length <= 100 ? path : `${path.slice(0, 40)}…${path.slice(-59)}`;
}

function directoryError(path: string, error: NodeJS.ErrnoException): LockstepError {
  const details = { directory: path };
  if (error.code === 'EEXIST' || error.code === 'ENOTDIR') {
    const message = `${shortened(path)} can't be opened: it, or something above it, is a file and not a directory. Open another path.`;
    return new LockstepError('INVALID_ARGUMENT', message, { cause: error, details });
  }
  const message = `The directory ${shortened(path)} can't be made (${reasonOf(error)}). Make it, or open one that this user may write to.`;
  return new LockstepError('UNAVAILABLE', message, { cause: error, details });
}

/** What SQLite takes for a path (MAX_PATHNAME), less the longest name that it makes in the directory: bytes. */
const directoryBytesMax = 512 - '/lockstep.db-journal'.length;

function refuseLongPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (process.platform === 'win32' || bytes <= directoryBytesMax) return;
  throw new LockstepError(
    'INVALID_ARGUMENT',
    `The path of the directory ${shortened(path)} is too long: it has ${bytes} bytes, and SQLite takes ${directoryBytesMax}. ` +
      'Open a directory with a shorter path, such as one in /var/tmp.',
    { details: { directory: path, bytes, bytesMax: directoryBytesMax } },
  );
}

/** Without the path, which Node puts behind the reason. */
function reasonOf(error: NodeJS.ErrnoException): string {
  return error.message.replace(/, \w+ '.*/s, '');
}

/**
 * SQLite's shared memory and locks do not work on network file systems: what two machines write would be lost.
 * Known by the file system's number on Linux, by the path on Windows.
 */
function refuseNetworkDisk(directory: string): void {
  const kind = networkKind(directory);
  if (kind === undefined) return;
  throw new LockstepError(
    'INVALID_ARGUMENT',
    `The directory ${shortened(directory)} is on a network file system (${kind}), where processes can't share a database safely. Open a ` +
      'directory on a local disk; to share state between machines, open a Redis server.',
    { details: { directory, fileSystem: kind } },
  );
}

/** Numbers of statfs(2). Other FUSE file systems than sshfs may be local, and are not told apart by number. */
const networkKinds: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9p'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x786f4256, 'VirtualBox shared folder'],
]);

function networkKind(directory: string): string | undefined {
  if (process.platform === 'win32') return /^\\\\[^.?]/.test(directory) ? 'a network share' : undefined;
  if (process.platform !== 'linux') return undefined;
  return networkKinds.get(statfsSync(directory).type >>> 0);
}
