import { type Answers, ballot, countReplies, majorityOf } from '../../base/ballot.ts';
import type { Clock } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { renew } from '../../operations/lock.ts';
import type { Engine } from '../engine.ts';
import type { Renew } from '../keeper/renewals.ts';

/**
 * Renews on all servers at once. A lease is renewed when a majority of them did it, and lost as soon as so many say that
 * it is not there that no majority is left. One that forgot it and is never asked for it again stays out: renewal does
 * not take a lock.
 */
export function renewByMajority(servers: readonly Pick<Engine, 'runBatch'>[], clock: Clock): Renew {
  const majority = majorityOf(servers.length);

  function verdict(answers: Answers<readonly number[]>, place: number): number {
    if (countReplies(answers, (renewed) => renewed[place] === 1) >= majority) return 1;
    return countReplies(answers, (renewed) => renewed[place] !== 1) > servers.length - majority ? 0 : -1;
  }

  return async (keys, args) => {
    const asked = servers.map((server) => server.runBatch(renew, keys, args));
    const isDecided = (answers: Answers<readonly number[]>): boolean =>
      keys.every((_, place) => verdict(answers, place) !== -1);
    const answers = await ballot(asked, clock, patienceMs(args), isDecided);
    return keys.map((_, place) => verdict(answers, place));
  };
}

/** A server that hangs delays the renewal of the shortest lease by this at most. `args`: owner, ttlMs of each. */
function patienceMs(args: readonly string[]): number {
  const ttls = args.filter((_, i) => i % 2 === 1).map(Number);
  return Math.min(limits.quorumRoundMsMax, Math.min(...ttls) / limits.quorumRoundPart);
}
