// Takes from a list and writes down what it got, until it is told to stop or is killed.
import { appendFileSync } from 'node:fs';
import { open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

export interface TakerWork {
  readonly where: string;
  readonly log: string;
  readonly tasks: number;
}

const { where, log, tasks } = task<TakerWork>();
const shared = await open(where, { label: 'taker', onWarning: () => {} });
const list = shared.list<number>('work');
const stop = new AbortController();

async function work(): Promise<void> {
  for (;;) {
    const element = await list.take({ signal: stop.signal });
    appendFileSync(log, `${element}\n`); // one write of one line: nobody else's comes between
  }
}

const working = Array.from({ length: tasks }, work);
say('ready');
await hear('stop');
const enough = new Error('enough');
stop.abort(enough);
for (const { reason } of (await Promise.allSettled(working)) as PromiseRejectedResult[]) {
  if (reason !== enough) throw reason;
}
await shared.close();
