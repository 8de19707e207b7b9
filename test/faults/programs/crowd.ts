// Many tasks that wait for one lock; each writes down when its turn was.
import { openSync, writeSync } from 'node:fs';
import { open } from '../../../src/index.ts';
import { say, task } from './voice.ts';

const { directory, log, tasks } = task<{ directory: string; log: string; tasks: number }>();
const shared = await open(directory, { label: 'crowd' });
const file = openSync(log, 'a');
const turns = Array.from({ length: tasks }, (_, place) =>
  shared.lock('counter').run((lease) => {
    writeSync(file, `${lease.fence} ${shared.session.id} ${place}\n`);
  }),
);
say('waits');
await Promise.all(turns);
await shared.close();
