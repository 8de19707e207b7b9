import { spawnSync } from 'node:child_process';
import { hasRedisServer } from './server.ts';

/** Debian's, which has Debian's redis-py. */
export const python = '/usr/bin/python3';

/** Whether Python has redis-py: Debian's, installed where that may be done. */
export const hasRedisPy: boolean = hasRedisServer && havePython();

function havePython(): boolean {
  const has = (): boolean => spawnSync(python, ['-c', 'import redis']).status === 0;
  if (has()) return true;
  if (process.getuid?.() === 0) {
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'python3-redis'], { stdio: 'ignore' });
  }
  if (has()) return true;
  console.warn('SKIPPED: redis-py is not there, so that nothing is shared with it: apt-get install python3-redis');
  return false;
}
