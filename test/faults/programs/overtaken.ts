// Gets the commit lock, by a transaction that is overtaken each time, and keeps it for ever.
import { open } from '../../../src/index.ts';
import { say, task } from './voice.ts';

export interface OvertakenWork {
  readonly where: string;
}

const { where } = task<OvertakenWork>();
const shared = await open(where, { label: 'overtaken', onWarning: () => {} });
const other = await open(where, { label: 'faster', onWarning: () => {} });
/** After 10 tries it gets in line for the commit lock, and with that it may be overtaken 10 times more. */
const triesBefore = 13;
let tries = 0;
await shared.transaction(async (tx) => {
  const map = tx.map<number>('hot');
  tries += 1;
  await map.set('x', ((await map.get('x')) ?? 0) + 1);
  if (tries < triesBefore) await other.map<number>('hot').set('x', -tries);
  else {
    say('holds');
    await new Promise((never) => setTimeout(never, 600_000));
  }
});
