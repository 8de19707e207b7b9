// Tasks that change shared data under one lock until they are told to stop. In a process or in a thread.
import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLockstepError, open, type Lease } from '../../../src/index.ts';
import { nowMs } from './now.ts';
import { onWord, say, task } from './voice.ts';

export interface Contention {
  readonly directory: string;
  /** The history: a line for each entry into the section, and for each change that was acknowledged. */
  readonly log: string;
  readonly tasks: number;
  readonly ttl: number;
}

const { directory, log, tasks, ttl } = task<Contention>();
let stopped = false;
onWord(({ what }) => {
  if (what === 'stop') stopped = true;
});

const file = openSync(log, 'a');
const shared = await open(directory, { label: 'contender' });
const lock = shared.lock('hot', { ttl });
const values = shared.map<number>('values');
const sections = shared.counter('sections');

/** Lines are appended in one write each: their order is the order in which they happened. */
function note(...words: readonly (string | number)[]): void {
  writeSync(file, `${words.join(' ')}\n`);
}

/** The section: reads and writes that only the lock keeps apart, and one that its fence guards as well. */
async function change(lease: Lease, askedMs: number): Promise<void> {
  const now = nowMs();
  note('enter', lease.fence, shared.session.id, now, now - askedMs);
  const guarded = ((await values.get('guarded')) ?? 0) + 1;
  const plain = ((await values.get('plain')) ?? 0) + 1;
  // Some stay long: whoever is killed then dies inside.
  if (Math.random() < 0.3) await sleep(Math.random() < 0.2 ? 20 : 1);
  await values.set('guarded', guarded, { guard: lease });
  await values.set('plain', plain);
  await sections.add();
  note('done', lease.fence, shared.session.id, guarded, plain);
}

async function contend(patience: () => number | undefined): Promise<void> {
  while (!stopped) {
    const askedMs = nowMs();
    const timeout = patience();
    try {
      await lock.run((lease) => change(lease, askedMs), timeout === undefined ? {} : { timeout });
    } catch (error) {
      if (!isLockstepError(error) || error.code !== 'TIMEOUT') throw error;
    }
  }
}

say('ready', { session: shared.session.id, now: nowMs() });
const patient = Array.from({ length: tasks - 1 }, () => contend(() => undefined));
await Promise.all([...patient, contend(() => Math.random() * 20)]);
await shared.close();
say('finished');
