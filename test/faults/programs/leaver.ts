// Uses one lock in some way, and then does nothing to stay alive or to clean up.
import { open } from '../../../src/index.ts';
import { say, task } from './voice.ts';

export interface Leaving {
  readonly directory: string;
  readonly way: 'releases' | 'closes' | 'waits' | 'holds' | 'exits' | 'throws';
}

const { directory, way } = task<Leaving>();
const shared = await open(directory, { label: way });
const lock = shared.lock('held', { ttl: 30_000 });

if (way === 'releases') await lock.run(() => shared.counter('visits').add());
if (way === 'closes') {
  await lock.acquire();
  await shared.close();
}
if (way === 'waits') {
  lock.acquire().then(
    (lease) => lease.release(),
    (error: unknown) => {
      throw error;
    },
  );
}
if (way === 'holds') {
  const lease = await lock.acquire();
  lease.onReleaseRequest(() => {
    lease.release().then(
      () => say('released'),
      (error: unknown) => {
        throw error;
      },
    );
  });
}
if (way === 'exits') {
  await lock.acquire();
  setTimeout(() => process.exit(5), 100);
}
if (way === 'throws') {
  await lock.acquire();
  setTimeout(() => {
    throw new Error('on purpose');
  }, 100);
}
