import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { threadId } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { keysOf, type SpaceKeys } from '../base/names.ts';
import type { Doorbell, Engine } from '../engines/engine.ts';
import { renew } from '../operations/lock.ts';
import * as sessions from '../operations/session.ts';
import * as transactions from '../operations/transaction.ts';
import { Leases } from './leases.ts';

/** Who takes part: one `open` in one thread of one process. */
export interface SessionInfo {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** Node's `threadId`: 0 is the main thread. */
  readonly thread: number;
  readonly label: string;
  /** When it was opened: ms since 1970, by the store's clock as far as it is known. */
  readonly since: number;
}

export interface SessionOptions {
  space: string;
  label: string;
  /** 0: ten times the lease. */
  maxStallMs: number;
  /** Its own for ever. Default: 96 random bits. */
  id?: string;
}

/** What a primitive does with the session's mail about one of its keys. */
export interface Receiver {
  /** A hint from the store, such as `granted`, about `subject`: a token or an owner. */
  told(verb: string, subject: string, waitedMs: number, note: string): void;
  /** Hints may have been lost. */
  resync(): void;
  /** The session is closing: fail what waits, end what is held. */
  close(): Promise<void>;
}

/** What a session does about mail to another one that turned out to be dead, and about mail that nobody here expects. */
export type Unexpected = (verb: string, subject: string, key: string, dead: boolean) => void;

/**
 * One participant of a space: it has an inbox in the store, keeps its leases alive, and lets go of everything when
 * it is closed or its process dies. Nothing here keeps the process alive unless something waits or is held.
 */
export class Session {
  readonly info: SessionInfo;
  readonly space: string;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly keys: SpaceKeys;
  readonly leases: Leases;
  /** By the key that mail is about. */
  readonly receivers: Map<string, Receiver> = new Map();
  unexpected: Unexpected = () => {};

  #doorbell: Doorbell | undefined;
  #asks = 0;
  #busy = 0;
  /** About to let the process end, if nothing else begins. */
  #letsGo = false;
  #closing: Promise<void> | undefined;
  readonly #background: Set<Promise<unknown>> = new Set();

  static async open(engine: Engine, options: SessionOptions): Promise<Session> {
    const session = new Session(engine, options);
    session.#doorbell = await engine.listen(session.info.id, {
      message: (text) => session.#deliver(text, false),
      undelivered: (_, text) => session.#deliver(text, true),
      resync() {
        for (const receiver of session.receivers.values()) receiver.resync();
        session.verify();
      },
    });
    session.#doorbell.unref();
    try {
      await engine.run(sessions.join, session.keys, { session: session.info.id, card: JSON.stringify(session.info) });
    } catch (error) {
      await session.#doorbell.close();
      throw error;
    }
    const forget = (dead: string): Promise<unknown> => forgetCommits(engine, session.keys, dead);
    session.inBackground(forgetDead(engine, session.keys, session.info.host, forget));
    return session;
  }

  private constructor(engine: Engine, options: SessionOptions) {
    this.engine = engine;
    this.clock = engine.clock;
    this.space = options.space;
    this.keys = keysOf(options.space);
    this.info = newSessionInfo(options.label, this.clock, options.id);
    this.leases = new Leases(engine, options.maxStallMs);
  }

  /** Asks the store whether all that is held is still held: that it is not may have been said by mail that was lost. */
  verify(): void {
    this.inBackground(this.leases.verify((keys, args) => this.engine.runBatch(renew, keys, args)));
  }

  /** A token for one ask: its own for ever, made before the ask is sent. */
  token(ttlMs: number): string {
    this.#asks += 1;
    return `${this.info.id}:${this.#asks}:${ttlMs}`;
  }

  /** Rejects what comes after `close`. */
  assertOpen(): void {
    if (this.#closing !== undefined) throw closedError('this call');
  }

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Something begins to wait or is held: the process stays alive for it. */
  enter(): void {
    this.#busy += 1;
    if (this.#busy === 1 && !this.#letsGo) this.#doorbell?.ref();
  }

  /** Something ended that `enter` announced. Seen to a little later, as the next lock often follows at once. */
  exit(): void {
    this.#busy -= 1;
    if (this.#busy > 0 || this.#letsGo) return;
    this.#letsGo = true;
    this.clock.timer(limits.lingerMs, () => {
      this.#letsGo = false;
      if (this.#busy === 0) this.#doorbell?.unref();
    });
  }

  /** Removes the card of a session that is dead. */
  forget(session: string): void {
    this.inBackground(this.#forget(session));
  }

  async #forget(session: string): Promise<void> {
    const { engine, keys, info } = this;
    const [card = ''] = await engine.runBatch(sessions.cards, [keys.sessions], [session]);
    const known = infoOf(card);
    // One that may still live may not have heard what came of its last commit, and would do it again.
    if (known !== undefined && isGone(known, info.host)) await forgetCommits(engine, keys, session);
    await engine.run(sessions.leave, keys, { session });
  }

  /** Lets a task run that nobody awaits: it may fail, and `close` waits for it. */
  inBackground(task: Promise<unknown>): void {
    const end = (): void => void this.#background.delete(task);
    this.#background.add(task);
    task.then(end, end);
  }

  /** Ends all that waits or is held, tells the store, and lets go of it. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.receivers.values()].map(async (receiver) => receiver.close()));
    await Promise.allSettled(this.#background);
    await this.leases.close();
    await this.engine.run(sessions.leave, this.keys, { session: this.info.id }).catch(() => {}); // the card is only for people
    await this.#doorbell?.close();
    await this.engine.close();
  }

  /** Mail is `verb subject waitedMs key`, and a note behind the end of that line. A key may contain spaces. */
  #deliver(text: string, dead: boolean): void {
    const end = text.indexOf('\n');
    const line = end === -1 ? text : text.slice(0, end);
    const note = end === -1 ? '' : text.slice(end + 1);
    const [verb = '', subject = '', waited = ''] = line.split(' ', 3);
    const key = line.slice(verb.length + subject.length + waited.length + 3);
    const receiver = this.receivers.get(key);
    if (dead || receiver === undefined) this.unexpected(verb, subject, key, dead);
    else receiver.told(verb, subject, Number(waited), note);
  }
}

/** This thread, as others see it. */
export function newSessionInfo(label: string, clock: Clock, id: string = newSessionId()): SessionInfo {
  return {
    id,
    host: hostname(),
    pid: process.pid,
    thread: threadId,
    label,
    since: Math.floor(clock.wallUs() / 1000),
  };
}

/** 96 random bits, in characters that neither a file name nor a token minds. */
function newSessionId(): string {
  return randomBytes(12).toString('base64url');
}

/**
 * Cards of processes of this machine that died unnoticed: a page of them at each opening keeps them few. `also`: what
 * else goes with them.
 */
export async function forgetDead(
  store: Pick<Engine, 'run' | 'scan'>,
  keys: SpaceKeys,
  host: string,
  also?: (session: string) => Promise<unknown>,
): Promise<void> {
  const { entries } = await store.scan(keys.sessions, '', limits.cardsPerOpening);
  for (let i = 1; i < entries.length; i += 2) {
    const info = infoOf(entries[i]!);
    if (info === undefined || !isGone(info, host)) continue;
    await also?.(info.id);
    await store.run(sessions.leave, keys, { session: info.id });
  }
}

/** Has the store forget what came of the commits of a session that sends no more: see operations/transaction.ts. */
export function forgetCommits(engine: Engine, { commit }: SpaceKeys, session: string): Promise<unknown> {
  const slots = Array.from({ length: limits.transactionSteps }, (_, slot) => `${session}:${slot}`);
  return engine.runBatch(transactions.forget, [commit.commits], slots);
}

/** What a call on a closed session rejects with: `subject` is what was asked for. */
export function closedError(subject: string): LockstepError {
  return new LockstepError(
    'CLOSED',
    `${subject}: the lockstep that it belongs to was closed; open another one to go on`,
  );
}

/** The session that a card describes; nothing where there is no card, or not one of ours. */
export function infoOf(card: string): SessionInfo | undefined {
  if (card === '') return undefined;
  try {
    const info = JSON.parse(card) as SessionInfo;
    return typeof info.id === 'string' ? info : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process of a session is surely dead. What is on another machine, or another user's, may live. */
export function isGone(info: SessionInfo, host: string): boolean {
  if (info.host !== host) return false;
  try {
    process.kill(info.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
