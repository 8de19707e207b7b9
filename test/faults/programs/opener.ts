// Opens, counts itself, takes one lock once, closes.
import { open } from '../../../src/index.ts';
import { say, task } from './voice.ts';

const { directory } = task<{ directory: string }>();
const shared = await open(directory, { label: 'opener' });
await shared.counter('openers').add();
await shared.lock('door').run(async () => {
  const values = shared.map<number>('values');
  await values.set('plain', ((await values.get('plain')) ?? 0) + 1);
});
await shared.close();
say('done');
