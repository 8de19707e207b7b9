import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nowMs } from './clock.ts';

/** A user's process that holds a lock: JavaScript and the published package, without the compiler of types in it. */
export interface Holder {
  /** kill -9; resolves to when it was sent: ms, by `nowMs`. */
  kill(): number;
  /** When its end was known here: ms, by `nowMs`. */
  readonly exited: Promise<number>;
}

/** Builds the package; then starts holders, which end with this process. */
export function holders(directory: string): (store: string, lock: string) => Promise<Holder> {
  const dist = join(directory, 'dist');
  const root = join(import.meta.dirname, '../..');
  const built = spawnSync('npx', ['tsc', '-p', 'tsconfig.build.json', '--outDir', dist], {
    cwd: root,
    stdio: 'inherit',
  });
  if (built.status !== 0) throw new Error('the package could not be built');
  cpSync(join(root, 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  const program = join(directory, 'holder.js');
  writeFileSync(program, holding);

  return async (store, lock) => {
    const child = fork(program, [store, lock]);
    const exited = new Promise<number>((resolve) => child.once('exit', () => resolve(nowMs())));
    const held = once(child, 'message').then(() => true);
    if (!(await Promise.race([held, exited.then(() => false)])))
      throw new Error('a holder ended before it had its lock');
    return {
      kill() {
        const killedMs = nowMs();
        child.kill('SIGKILL');
        return killedMs;
      },
      exited,
    };
  };
}

const holding = `
import { open } from './dist/index.js';
const [store, lock] = process.argv.slice(2);
await (await open(store)).lock(lock).acquire();
process.send('held');
process.on('disconnect', () => process.exit());
`;
