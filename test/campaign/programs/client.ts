// One client of a campaign, in a process or in a thread: does its tasks again and again until it is told to stop.
import { setTimeout as sleep } from 'node:timers/promises';
import { isLockstepError, type Lockstep, open, type QuorumLockstep } from '../../../src/index.ts';
import { hear, onWord, say, task } from '../../faults/programs/voice.ts';
import { chanceOf, diceOf } from '../../simulation/chance.ts';
import { Recorder } from '../record.ts';
import { describe, type Kind, quorumRound, rounds, space, type Station } from '../tasks.ts';

export interface ClientPlan {
  /** A number that no other client has. */
  readonly number: number;
  readonly seed: number;
  readonly log: string;
  /** An address, or those of several independent servers. */
  readonly where: string | readonly string[];
  readonly kinds: readonly Kind[];
  readonly ttlMs: number;
  /** Between two rounds of a task: ms. */
  readonly pauseMs: number;
  /** Of several servers: the longest lease that anybody takes. */
  readonly maxTtlMs: number;
}

const plan = task<ClientPlan>();
const record = new Recorder(plan.log);
const stop = new AbortController();
let serials = 0;
let draining = false;
/** Of each task. */
const names = plan.kinds.map((kind, i) => `${kind}${i}`);
/** Tasks that have not yet gone well since the faults ended. */
let waited: Set<string> | undefined;

/** Tasks that may have a push under way. */
const pushing = new Set(names.filter((name) => name.startsWith('push')));

onWord(({ what }) => {
  if (what === 'calm') waited = new Set(names.filter((name) => !/^(work|hold)/.test(name)));
  if (what !== 'drain') return;
  draining = true;
  if (pushing.size === 0) say('pushes no more');
});

const shared = await opened();
const all = Promise.all(plan.kinds.map((kind, i) => again(kind, names[i]!)));
say('ready', { number: plan.number });
await hear('stop');
stop.abort();
await all;
await shared.close();

async function opened(): Promise<Lockstep | QuorumLockstep> {
  const options = { space, label: `client ${plan.number}`, onWarning: () => {} };
  for (;;) {
    try {
      if (typeof plan.where === 'string') return await open(plan.where, options);
      return await open(plan.where, { ...options, maxTtl: plan.maxTtlMs });
    } catch (error) {
      if (!isLockstepError(error, 'UNAVAILABLE')) record.bad(`open: ${describe(error)}`);
      await sleep(50);
    }
  }
}

async function again(kind: Kind, name: string): Promise<void> {
  const dice = diceOf(chanceOf(plan.seed), `client ${plan.number} ${name}`);
  const at: Omit<Station, 'shared'> = {
    record,
    dice,
    task: name,
    ttlMs: plan.ttlMs,
    serial: () => plan.number * 1_000_000 + ++serials,
    stop: stop.signal,
    draining: () => draining,
  };
  while (!stop.signal.aborted) {
    if (draining && pushing.delete(name) && pushing.size === 0) say('pushes no more');
    const calm = waited;
    const isWell = hasData(shared) ? await rounds[kind]({ ...at, shared }) : await quorumRound(at, shared);
    if (isWell && calm?.delete(name) === true && calm.size === 0) say('went well');
    await sleep(dice.between(0, 2 * plan.pauseMs));
  }
}

function hasData(session: Lockstep | QuorumLockstep): session is Lockstep {
  return 'counter' in session;
}
