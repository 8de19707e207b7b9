/** Makes sure that there is a redis-server to test against: installs Debian's where it is missing and it may. */
import { run } from './run.ts';

const how = `
  redis-server is not there, and could not be installed: what needs it is skipped. To have it:
    Debian, Ubuntu   sudo apt-get install redis-server
    macOS            brew install redis
    elsewhere        a redis-server on the PATH, such as a script around: docker run --rm --network host redis:7
`;

/** What stands in the way of the tests on Redis, in words for the terminal; undefined where nothing does. */
export async function missingRedisServer(): Promise<string | undefined> {
  if (await isThere('redis-server')) return undefined;
  if (await isThere('apt-get')) {
    const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
    // Debian starts the server as a service on installing; the tests start their own.
    const install = ['apt-get', 'install', '-y', '--no-install-recommends', 'redis-server'];
    for (const step of [['apt-get', 'update'], install]) {
      const [command = '', ...args] = [...sudo, ...step];
      const { problem, output } = await run(command, args, { env: { DEBIAN_FRONTEND: 'noninteractive' } });
      if (problem !== undefined) return `${output.trimEnd()}\n${how}`;
    }
  }
  return (await isThere('redis-server')) ? undefined : how;
}

async function isThere(command: string): Promise<boolean> {
  return (await run(command, ['--version'])).problem === undefined;
}
