// A process of the tests of this folder: `program.ts WHAT DIRECTORY [NUMBER]`. Says lines of JSON arrays.
import { openSqlite } from '../../../src/engines/embedded/driver.ts';
import { embeddedEngine } from '../../../src/engines/embedded/embedded.ts';
import { add } from '../../../src/operations/counter.ts';
import { by, counterAt } from '../../counting.ts';

const [what, directory = '', number = '0'] = process.argv.slice(2);
const keys = counterAt('n');

/** Resolves when it is in the hands of the kernel, so that it is heard also if this process is killed. */
function say(...words: string[]): Promise<void> {
  return new Promise((said) => process.stdout.write(`${JSON.stringify(words)}\n`, () => said()));
}

/** Adds 1 so often, with 8 tasks at once. Says the worst wait of one of them in ms. */
async function addAll(times: number): Promise<void> {
  const engine = await embeddedEngine({ directory });
  let left = times;
  let worstMs = 0;
  const task = async (): Promise<void> => {
    while (left-- > 0) {
      const begun = performance.now();
      await engine.run(add, keys, by(1));
      worstMs = Math.max(worstMs, performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: 8 }, task));
  await say('done', worstMs.toFixed(1));
  await engine.close();
}

/** Adds 1 again and again, and says each value that it got. */
async function addForEver(): Promise<never> {
  const engine = await embeddedEngine({ directory });
  for (;;) {
    const [, value] = await engine.run(add, keys, by(1));
    await say(value);
  }
}

/** Opens, adds 1, says so, and closes. */
async function addOnce(): Promise<void> {
  const engine = await embeddedEngine({ directory });
  await engine.run(add, keys, by(1));
  await engine.close();
  await say('done');
}

/** Says how opening failed. */
async function openOnly(): Promise<void> {
  try {
    const engine = await embeddedEngine({ directory });
    await engine.close();
    await say('opened');
  } catch (error) {
    await say((error as { code: string }).code, (error as Error).message);
  }
}

/** Holds SQLite's write lock with something written. */
async function stay(): Promise<void> {
  const sqlite = openSqlite(`${directory}/lockstep.db`);
  sqlite.exec("BEGIN IMMEDIATE; DELETE FROM keys; INSERT INTO keys VALUES ('half', 0, NULL, 'done', 0, 0, 0, 0)");
  await say('inside');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

if (what === 'add') await addAll(Number(number));
else if (what === 'for-ever') await addForEver();
else if (what === 'once') await addOnce();
else if (what === 'open') await openOnly();
else await stay();
