// Opens, counts itself, takes one lock once, closes.
import { isLockstepError, open } from '../../../src/index.ts';
import { say, task } from './voice.ts';

const { directory } = task<{ directory: string }>();
const shared = await patiently(() => open(directory, { label: 'opener' }));
await patiently(() => shared.counter('openers').add());
await patiently(() =>
  // Long: who has it may also be kept from the CPU for 10 s.
  shared.lock('door', { ttl: '60s' }).run(async () => {
    const values = shared.map<number>('values');
    await values.set('plain', ((await values.get('plain')) ?? 0) + 1);
  }),
);
await shared.close();
say('done');

/**
 * A crowd of low priority, beside other tests, may keep one of them out for the 10 s after which it hears that nothing was
 * written: then it is done again, as any program would.
 */
async function patiently<T>(what: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await what();
    } catch (error) {
      const isBusy = isLockstepError(error, 'UNAVAILABLE') && 'waitedMs' in error.details;
      if (!isBusy || tries === 5) throw error;
      console.error(`try ${tries}: ${error.message}`);
    }
  }
}
