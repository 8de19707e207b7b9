import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { limits } from '../../base/limits.ts';
import { LockstepError } from '../../base/errors.ts';
import { shortened } from './file-system.ts';

/**
 * The paths of the sockets of a directory: `bells/NAME`, a named pipe on Windows.
 *
 * The system takes about a hundred bytes for the path of a socket. Where the directory leaves no room for a session,
 * Linux takes the path through a descriptor of `bells` instead. Both ways lead to the same socket.
 */
export interface SocketPaths {
  /** The name of the socket in the file system. */
  file(name: string): string;
  /** What to listen at, or connect to. Opens `bells` where it has to, and throws as `openSync` does. */
  address(name: string): string;
  /** Lets go of `bells`. Nothing may be asked for any more. */
  close(): void;
}

/** Opens nothing before an address is asked for. */
export function socketPaths(directory: string): SocketPaths {
  const fits = onWindows || bytesOf(directory) <= directoryBytesMax;
  const file = (name: string): string => (onWindows ? pipeOf(directory, name) : join(directory, 'bells', name));
  let descriptor: number | undefined;
  return {
    file,
    address(name) {
      if (fits) return file(name);
      // A path that is too long must not be tried: libuv cuts it short.
      if (descriptor === undefined) {
        const error = socketPathError(directory);
        if (error !== undefined) throw error;
        descriptor = openDirectory(join(directory, 'bells'));
      }
      return `${pathOf(descriptor)}/${name}`;
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

/** `INVALID_ARGUMENT` for a directory whose path is too long for sockets on this system; undefined for one that is not. */
export function socketPathError(directory: string): LockstepError | undefined {
  const path = resolve(directory);
  const bytes = bytesOf(path);
  if (onWindows || bytes <= directoryBytesMax || descriptorsHavePaths()) return undefined;
  return new LockstepError(
    'INVALID_ARGUMENT',
    `The path of the directory ${shortened(path)} is too long: it has ${bytes} bytes, and the sockets in it leave room for ` +
      `${directoryBytesMax} on this system. Open a directory with a shorter path, such as one in /var/tmp.`,
    { details: { directory: path, bytes, bytesMax: directoryBytesMax } },
  );
}

export const onWindows: boolean = process.platform === 'win32';

/** The size of `sun_path`, with its closing zero. */
const socketPathBytes = process.platform === 'linux' ? 108 : 104;
const directoryBytesMax = socketPathBytes - 1 - '/bells/'.length - '.'.length - limits.sessionBytesMax;

function bytesOf(path: string): number {
  return Buffer.byteLength(path);
}

function pipeOf(directory: string, name: string): string {
  const place = createHash('sha256').update(directory.toLowerCase()).digest('hex').slice(0, 32);
  return `\\\\.\\pipe\\lockstep-${place}-${name}`;
}

function openDirectory(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

/** Not where /proc is absent, is another system's, or belongs to other processes than this one sees. */
function descriptorsHavePaths(): boolean {
  if (process.platform !== 'linux') return false;
  let descriptor: number | undefined;
  try {
    descriptor = openDirectory('/');
    const [there, here] = [statSync(`${pathOf(descriptor)}/.`), fstatSync(descriptor)];
    return there.ino === here.ino && there.dev === here.dev;
  } catch {
    return false;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
