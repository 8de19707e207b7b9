import { type Answers, ballot, countErrors, countReplies, majorityOf } from '../base/ballot.ts';
import type { Clock } from '../base/clock.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { keysOf, type SpaceKeys } from '../base/names.ts';
import type { Voter, Voters } from '../engines/engine.ts';
import * as sessions from '../operations/session.ts';
import { Leases } from './leases.ts';
import { closedError, forgetDead, newSessionInfo, type SessionInfo, type SessionOptions } from './session.ts';

export interface QuorumOptions extends SessionOptions {
  /** The longest lease that anybody takes on these servers. */
  readonly ttlMsMax: number;
}

/**
 * One participant of a space that several independent servers keep, of which a majority decides. It has no inbox: what
 * waits asks again. Nothing here keeps the process alive unless something waits or is held.
 */
export class QuorumSession {
  readonly info: SessionInfo;
  readonly space: string;
  readonly keys: SpaceKeys;
  readonly clock: Clock;
  readonly voters: readonly Voter[];
  /** So many must agree. */
  readonly majority: number;
  readonly ttlMsMax: number;
  readonly leases: Leases;
  /** By the key of the lock. */
  readonly lines: Map<string, { close(): Promise<void> }> = new Map();
  readonly #servers: Voters;
  readonly #background: Set<Promise<unknown>> = new Set();
  #asks = 0;
  #busy = 0;
  #closing: Promise<void> | undefined;

  constructor(servers: Voters, options: QuorumOptions) {
    this.#servers = servers;
    this.voters = servers.all;
    this.majority = majorityOf(servers.all.length);
    this.clock = servers.clock;
    this.space = options.space;
    this.ttlMsMax = options.ttlMsMax;
    this.keys = keysOf(options.space);
    this.info = newSessionInfo(options.label, servers.clock, options.id);
    this.leases = new Leases(servers, options.maxStallMs);
  }

  /**
   * Before all else: says on each server who this is. Rejects with `UNAVAILABLE` where no majority can be reached,
   * `INVALID_ARGUMENT` where two are one server.
   */
  async join(): Promise<void> {
    const { clock, majority, voters, keys, info } = this;
    const card = { session: info.id, card: JSON.stringify(info) };
    const joined = voters.map((voter) => voter.run(sessions.join, keys, card));
    const isDecided = (said: Answers<unknown>): boolean => countReplies(said) >= majority || this.isHopeless(said);
    const answers = await ballot(joined, clock, 2 * limits.quorumCommandMs, isDecided);
    if (countReplies(answers) < majority) throw this.unavailable('open', answers);
    await ballot(joined, clock, limits.quorumStragglersMs, () => false);
    for (const voter of voters) {
      const twin = this.#twinOf(voter);
      if (twin !== undefined) {
        throw invalidArgument('where', voter.name, `a server of its own: it is the same one as ${twin.name}`);
      }
      this.inBackground(forgetDead(voter, keys, info.host));
    }
  }

  /** An owner for one round: its own for ever, the same on all servers. */
  owner(ttlMs: number): string {
    this.#asks += 1;
    return `${this.info.id}:${this.#asks}:${ttlMs}:0:${Math.floor(this.clock.wallUs())}`;
  }

  /**
   * Why the vote of a server that was reached does not count now. One that restarted may have forgotten leases that
   * others hold: it abstains until the longest of them is over.
   */
  abstains(voter: Voter): string | undefined {
    const run = voter.serverRun();
    if (run === undefined) return undefined;
    const twin = this.#twinOf(voter);
    if (twin !== undefined) return `is the same server as ${twin.name}`;
    const leftMs = Math.ceil(run.sinceMs + this.ttlMsMax - this.clock.monotonicMs());
    if (leftMs <= 0) return undefined;
    return `has begun less than ${this.ttlMsMax} ms (maxTtl) ago, and may not know who holds what: it votes in ${leftMs} ms`;
  }

  /** So many failed that no majority is left. */
  isHopeless(answers: Answers<unknown>): boolean {
    return countErrors(answers) > this.voters.length - this.majority;
  }

  /** The error of a round that did not hear enough servers. */
  unavailable(subject: string, answers: Answers<unknown>): LockstepError {
    const problems = this.voters.flatMap((voter, place) => {
      const answer = answers[place];
      if (answer !== undefined && 'reply' in answer) return [];
      return [answer === undefined ? `${voter.name} did not answer in time.` : answer.error.message];
    });
    const all = this.voters.length;
    return new LockstepError(
      'UNAVAILABLE',
      `${subject}: ${all - problems.length} of ${all} servers take part, ${this.majority} are needed. ${problems.join(' ')}`,
      { details: { servers: all, reached: all - problems.length, needed: this.majority, problems } },
    );
  }

  /** Rejects what comes after `close`. */
  assertOpen(): void {
    if (this.closing) throw closedError('this call');
  }

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Something begins to wait or is held: the process stays alive for it. */
  enter(): void {
    this.#busy += 1;
    if (this.#busy === 1) this.#servers.ref();
  }

  /** Something ended that `enter` announced. */
  exit(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#servers.unref();
  }

  /** Lets a task run that nobody awaits: it may fail, and `close` waits for it. */
  inBackground(task: Promise<unknown>): void {
    const end = (): void => void this.#background.delete(task);
    this.#background.add(task);
    task.then(end, end);
  }

  /** Ends all that waits or is held, tells the servers, and lets go of them. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.lines.values()].map((line) => line.close()));
    await Promise.allSettled(this.#background);
    await this.leases.close();
    const left = this.voters.map((voter) => voter.run(sessions.leave, this.keys, { session: this.info.id }));
    await Promise.allSettled(left); // the cards are only for people
    await this.#servers.close();
  }

  /** An earlier one in the list that is the same server by its run id. */
  #twinOf(voter: Voter): Voter | undefined {
    const id = voter.serverRun()?.id;
    if (id === undefined) return undefined;
    const first = this.voters.find((other) => other.serverRun()?.id === id);
    return first === voter ? undefined : first;
  }
}
