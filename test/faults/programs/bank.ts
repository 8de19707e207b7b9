// Moves money between accounts, and counts, until it is told to stop or is killed. In the end it says what it knows of.
import { setTimeout as sleep } from 'node:timers/promises';
import { isLockstepError, open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

export interface BankWork {
  /** What `open` takes. */
  readonly where: string;
  readonly accounts: readonly string[];
  readonly tasks: number;
}

/** How often something is known to have happened, and how often nobody knows. */
export interface BankReport {
  readonly moves: number;
  readonly unknownMoves: number;
  readonly adds: number;
  readonly unknownAdds: number;
}

const { where, accounts, tasks } = task<BankWork>();
const shared = await open(where, { label: 'bank', onWarning: () => {} });
const report = { moves: 0, unknownMoves: 0, adds: 0, unknownAdds: 0 };
let stopping = false;

async function move(): Promise<void> {
  const from = Math.floor(Math.random() * accounts.length);
  const to = (from + 1 + Math.floor(Math.random() * (accounts.length - 1))) % accounts.length;
  const amount = 1 + Math.floor(Math.random() * 9);
  await shared.transaction(async (tx) => {
    const map = tx.map<number>('accounts');
    for (const [account, by] of [
      [from, -amount],
      [to, amount],
    ] as const) {
      const name = accounts[account]!;
      await map.set(name, ((await map.get(name)) ?? 0) + by);
    }
    await tx.counter('moves').add();
    await tx.list('log').push(amount);
    await tx.sortedSet('moved').add(accounts[from], amount);
  });
}

/** Whether it happened; undefined: nobody knows. */
async function outcome(what: Promise<unknown>): Promise<boolean | undefined> {
  try {
    await what;
    return true;
  } catch (error) {
    if (isLockstepError(error, 'AMBIGUOUS')) return undefined;
    if (!isLockstepError(error, 'UNAVAILABLE') && !isLockstepError(error, 'CONFLICT')) throw error;
    await sleep(10);
    return false;
  }
}

async function work(): Promise<void> {
  const adds = shared.counter('adds');
  while (!stopping) {
    const moved = await outcome(move());
    if (moved === true) report.moves += 1;
    if (moved === undefined) report.unknownMoves += 1;
    const added = await outcome(adds.add());
    if (added === true) report.adds += 1;
    if (added === undefined) report.unknownAdds += 1;
  }
}

const working = Promise.all(Array.from({ length: tasks }, work));
say('ready');
await hear('stop');
stopping = true;
await working;
say('report', report);
await shared.close();
