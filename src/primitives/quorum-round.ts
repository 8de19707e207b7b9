import { type Answers, ballot, countErrors, countReplies } from '../base/ballot.ts';
import { LockstepError, isLockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { LockNames } from '../base/names.ts';
import { instantNow, isOver, validFor } from '../base/validity.ts';
import type { Instant, Voter } from '../engines/engine.ts';
import * as lock from '../operations/lock.ts';
import { vote, type Vote, type VoteAsk } from '../operations/quorum.ts';
import type { QuorumSession } from '../session/quorum-session.ts';

/** Who has the votes instead, as far as one server knows. */
export interface VoteHolder {
  readonly owner: string;
  readonly leftMs: number;
}

/** `isWanted`: another session was refused lately. */
export interface WonRound {
  readonly is: 'won';
  readonly owner: string;
  readonly until: Instant;
  readonly isWanted: boolean;
}

/** What came of a round. */
export type Round =
  | WonRound
  /** Somebody has it, or several share the votes. */
  | { readonly is: 'lost'; readonly holder: VoteHolder | undefined }
  /** `UNAVAILABLE` where too few servers took part. */
  | { readonly is: 'failed'; readonly error: Error };

/**
 * Asks all servers at once for their votes, and decides as soon as a majority gave them or can't any more. What was won
 * in vain is given back. Never rejects. After Redlock (redis.io, "Distributed Locks with Redis"), with validity counted
 * from before the first send. `again`: whoever is refused will ask again, and the servers say so to whoever has it.
 */
export async function holdRound(
  session: QuorumSession,
  { name, ttlMs, again }: { name: string; ttlMs: number; again: boolean },
  keys: LockNames,
): Promise<Round> {
  const { clock, majority, voters } = session;
  const sent = instantNow(clock);
  const owner = session.owner(ttlMs);
  const ask: VoteAsk = { owner, ttlMs: String(ttlMs), wantedMs: again ? limits.quorumWantedMs : 0 };
  const asked = voters.map((voter) => askOne(session, voter, keys, ask));
  const isDecided = (said: Answers<Vote>): boolean => {
    const won = countReplies(said, isYes);
    return won >= majority || won + countOpen(said) < majority;
  };
  const roundMs = Math.min(limits.quorumRoundMsMax, ttlMs / limits.quorumRoundPart);
  const answers = [...(await ballot(asked, clock, roundMs, isDecided))];
  const until = validFor(sent, ttlMs);
  if (countReplies(answers, isYes) >= majority && !isOver(until, instantNow(clock))) {
    return { is: 'won', owner, until, isWanted: isWantedByOther(answers, owner) };
  }
  for (const [place, voter] of voters.entries()) {
    if (mayHaveVoted(answers[place])) session.inBackground(giveBackTo(session, voter, keys, owner, ttlMs));
  }
  const silent = isDecided(answers) ? 0 : countOpen(answers);
  if (countErrors(answers) + silent <= voters.length - majority) return { is: 'lost', holder: holderIn(answers) };
  return { is: 'failed', error: hardError(answers) ?? session.unavailable(`lock ${JSON.stringify(name)}`, answers) };
}

/** Resolves when a majority of the servers has it back, or when its time is over. Never rejects. */
export async function giveBack(session: QuorumSession, keys: LockNames, owner: string, forMs: number): Promise<void> {
  const given = session.voters.map((voter) => giveBackTo(session, voter, keys, owner, forMs));
  for (const one of given) session.inBackground(one);
  await ballot(given, session.clock, forMs, (said) => countReplies(said, (done) => done) >= session.majority);
}

/** Rejects for a server that abstains, also if that turns out by its reply. */
async function askOne(session: QuorumSession, voter: Voter, keys: LockNames, ask: VoteAsk): Promise<Vote> {
  const before = session.abstains(voter);
  if (before !== undefined) throw abstention(voter, before, 'no');
  const reply = await voter.run(vote, keys, ask);
  const after = session.abstains(voter);
  if (after !== undefined) throw abstention(voter, after, 'unknown');
  return reply;
}

function abstention(voter: Voter, reason: string, applied: 'no' | 'unknown'): LockstepError {
  return new LockstepError('UNAVAILABLE', `${voter.name} ${reason}.`, { details: { server: voter.name, applied } });
}

/** Tries until the server answers, until what is to be given back is over by itself, or the session closes. */
async function giveBackTo(
  session: QuorumSession,
  voter: Voter,
  keys: LockNames,
  owner: string,
  forMs: number,
): Promise<boolean> {
  const { clock } = session;
  const endMs = clock.monotonicMs() + forMs;
  session.enter();
  try {
    for (let pauseMs: number = limits.quorumPauseMsMin; ; pauseMs = Math.min(limits.redisBackOffMsMax, pauseMs * 2)) {
      try {
        await voter.run(lock.release, keys, { owner, fences: limits.handOversInARow, openEveryMs: 0 });
        return true;
      } catch (error) {
        const isPassing = isLockstepError(error, 'UNAVAILABLE');
        if (!isPassing || session.closing || clock.monotonicMs() + pauseMs > endMs) return false;
      }
      await new Promise<void>((again) => clock.timer(pauseMs, again));
    }
  } finally {
    session.exit();
  }
}

function isYes(reply: Vote): boolean {
  return reply[0] === 'yes';
}

/** As far as one server knows: whoever is refused tells all that it reaches. */
function isWantedByOther(answers: Answers<Vote>, owner: string): boolean {
  const own = owner.slice(0, owner.indexOf(':') + 1);
  const wants = (reply: Vote): boolean => reply[0] === 'yes' && reply[1] !== '' && !reply[1].startsWith(own);
  return countReplies(answers, wants) > 0;
}

function countOpen(answers: Answers<Vote>): number {
  return answers.filter((answer) => answer === undefined).length;
}

/** Not where the server said no, or nothing can have reached it. */
function mayHaveVoted(answer: Answers<Vote>[number]): boolean {
  if (answer === undefined) return true;
  if ('reply' in answer) return isYes(answer.reply);
  return (answer.error as Partial<LockstepError>).details?.['applied'] !== 'no';
}

/** One that will not pass, such as WRONG_KIND. */
function hardError(answers: Answers<Vote>): Error | undefined {
  for (const answer of answers) {
    if (answer !== undefined && 'error' in answer && !isLockstepError(answer.error, 'UNAVAILABLE')) return answer.error;
  }
  return undefined;
}

/** Whoever has the most votes of those that were heard. */
function holderIn(answers: Answers<Vote>): VoteHolder | undefined {
  const votes = new Map<string, number>();
  let holder: VoteHolder | undefined;
  for (const answer of answers) {
    if (answer === undefined || !('reply' in answer) || answer.reply[0] === 'yes') continue;
    const [, owner, leftMs] = answer.reply;
    votes.set(owner, (votes.get(owner) ?? 0) + 1);
    if (holder === undefined || votes.get(owner)! > votes.get(holder.owner)!) holder = { owner, leftMs };
  }
  return holder;
}
