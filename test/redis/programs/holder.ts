// Holds or awaits lock x of the server whose address it is given, and does as it is told line by line.
import { createInterface } from 'node:readline';
import { isLockstepError, open } from '../../../src/index.ts';

const [address = '', ttlMs = ''] = process.argv.slice(2);
const shared = await open(address, { label: `holder ${process.pid}`, onWarning: () => {} });
const lock = shared.lock('x', { ttl: Number(ttlMs) });
say('asks');
const lease = await lock.acquire();
say('holds');

for await (const line of createInterface({ input: process.stdin })) {
  const [order, amount] = line.split(' ');
  if (order === 'block') {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(amount));
    say('blocked');
  } else if (order === 'write') {
    try {
      await shared.map('m').set('by', process.pid, { guard: lease });
      say('written');
    } catch (error) {
      say(isLockstepError(error) ? error.code : String(error));
    }
  }
}
await shared.close();

function say(word: string): void {
  process.stdout.write(`${word}\n`);
}
