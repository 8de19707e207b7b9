import type { LockstepError } from '../../base/errors.ts';
import { InOrder } from '../../base/in-order.ts';
import { limits } from '../../base/limits.ts';
import { type Answer, type Explained, type RedisClients, type RedisConnection, ReplyError } from './client.ts';
import { type Applied, closedError, unavailable } from './failure.ts';
import type { Script } from './scripts.ts';

export interface LinkOptions {
  /** A command without an answer for this long is `UNAVAILABLE`, and its connection given up: ms. */
  readonly commandMs: number;
  /** What each new connection does before the first command. */
  prepare(connection: RedisConnection): Promise<void>;
  /** A connection is ready; `again`: it is not the first. */
  up?(again: boolean): void;
}

interface Request {
  readonly args: readonly string[];
  /** What `args` are for; absent where they are the whole command. */
  readonly script: Script | undefined;
  /** False: a TRYAGAIN is the answer. */
  readonly patient: boolean;
  readonly explained: Explained | undefined;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Whom the answer to a command is for. */
interface Sender {
  replied(command: Command, reply: unknown): void;
  failed(command: Command, error: Error): void;
}

class Command implements Answer {
  readonly request: Request;
  /** Monotonic ms. */
  readonly sinceMs: number;
  sentMs = 0;
  /** On which it was sent last. */
  connection: RedisConnection | undefined;
  settled = false;
  readonly #sender: Sender;

  constructor(request: Request, sinceMs: number, sender: Sender) {
    this.request = request;
    this.sinceMs = sinceMs;
    this.#sender = sender;
  }

  resolve(reply: unknown): void {
    this.#sender.replied(this, reply);
  }

  reject(error: Error): void {
    this.#sender.failed(this, error);
  }
}

/**
 * A connection that comes back by itself: one at a time, the next one when it is over.
 *
 * - Commands take effect in the order in which they were asked for.
 * - A command is sent again only where the server said that it was not carried out. One that was on its way when the
 *   connection was lost rejects with `UNAVAILABLE`, `applied: 'unknown'`.
 * - A command waits for the connection, and for its answer, for `commandMs` in all; not at all when the server has been
 *   away for longer.
 * - The process lives as long as a command is under way, and not because of an idle connection.
 */
export class Link {
  readonly #clients: RedisClients;
  readonly #options: LinkOptions;
  #connection: RedisConnection | undefined;
  #connecting: RedisConnection | undefined;
  #ups = 0;
  /** Not sent yet, in order. */
  #line: Command[] = [];
  /** Sent and not answered, in order. */
  readonly #sent: InOrder<Command> = new InOrder();
  /** Answered by a refusal that asks for another try. Nothing is sent until all that was sent is answered. */
  #refused: Command[] = [];
  /** The scripts whose text this connection has sent, by their SHA-1. */
  readonly #brought: Set<string> = new Set();
  #pauseMs = 0;
  /** What was refused may be done at another connection. */
  #isElsewhere = false;
  /** How often that was said in a row. */
  #moves = 0;
  /** Why the server can't be used, and since when: monotonic ms. */
  #down: { reason: Error; sinceMs: number } | undefined;
  /** Why the server asked for another try, if it did so last. */
  #putOff: Error | undefined;
  #unsettled = 0;
  readonly #sender: Sender = {
    replied: (command, reply) => this.#replied(command, reply),
    failed: (command, error) => this.#failed(command, error),
  };
  #watch: NodeJS.Timeout | undefined;
  /** The last look came late, and was put off for that. */
  #isLate = false;
  /** Ends the pause of what keeps the connection. */
  #wake: (() => void) | undefined;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor(clients: RedisClients, options: LinkOptions) {
    this.#clients = clients;
    this.#options = options;
    this.#down = { reason: new Error('not connected yet'), sinceMs: nowMs() };
    this.#keepConnected().catch(() => {}); // it does not reject
  }

  get name(): string {
    return this.#clients.name;
  }

  command(args: readonly string[]): Promise<unknown> {
    return this.#ask(args, undefined, undefined, true);
  }

  /**
   * Runs a script: by its name, if this connection brought its text before. `args`: how many keys, keys, arguments.
   * Rejects with what `explained` makes of the error. Not `patient`: where a slot is moving and has only some of the keys,
   * it rejects with TRYAGAIN at once.
   */
  script(script: Script, args: readonly string[], explained?: Explained, patient = true): Promise<unknown> {
    return this.#ask(args, script, explained, patient);
  }

  /** Connects anew. What is under way rejects. */
  again(reason: Error): void {
    this.#lost(this.#connection, reason);
  }

  /** How often it was connected: the same before and after means the same connection. */
  get ups(): number {
    return this.#ups;
  }

  #ask(
    args: readonly string[],
    script: Script | undefined,
    explained: Explained | undefined,
    patient: boolean,
  ): Promise<unknown> {
    if (this.#closing !== undefined) return Promise.reject(closedError(this.name));
    const sinceMs = nowMs();
    const down = this.#down;
    if (down !== undefined && sinceMs - down.sinceMs > this.#options.commandMs) {
      const refusal = this.#unavailable(down.reason, 'no');
      // In a turn of its own: who asks again at once would leave the event loop none in which to connect.
      return new Promise((_, reject) => setImmediate(reject, refusal));
    }
    return new Promise((resolve, reject) => {
      const command = new Command({ args, script, explained, patient, resolve, reject }, sinceMs, this.#sender);
      this.#began();
      if (this.#ready && this.#line.length === 0) this.#send(this.#connection!, command, sinceMs);
      else this.#line.push(command);
    });
  }

  /** Waits for what is under way. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#unsettled > 0) await new Promise<void>((idle) => (this.#idle = idle));
    this.#closed = true;
    clearTimeout(this.#watch);
    this.#wake?.();
    this.#connecting?.close();
    this.#connection?.close();
    this.#connection = undefined;
  }

  // Sending

  get #ready(): boolean {
    return this.#connection !== undefined && this.#refused.length === 0 && this.#pauseMs === 0 && !this.#isElsewhere;
  }

  #drain(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const now = nowMs();
    for (const command of this.#line.splice(0)) this.#send(connection, command, now);
  }

  #send(connection: RedisConnection, command: Command, now: number): void {
    if (command.settled) return;
    command.sentMs = now;
    command.connection = connection;
    this.#sent.add(command);
    try {
      connection.send(this.#wordsOf(command.request), command);
    } catch (error) {
      this.#failed(command, error as Error); // it is nothing that can be sent
    }
  }

  #replied(command: Command, reply: unknown): void {
    if (!this.#sent.delete(command)) return; // its connection was given up
    this.#putOff = undefined;
    this.#moves = 0;
    if (this.#settles(command)) command.request.resolve(reply);
    this.#goOn();
  }

  #wordsOf({ args, script }: Request): readonly string[] {
    if (script === undefined) return args;
    if (this.#brought.has(script.sha)) return ['EVALSHA', script.sha, ...args];
    this.#brought.add(script.sha);
    return ['EVAL', script.text, ...args];
  }

  #failed(command: Command, error: Error): void {
    if (!this.#sent.has(command)) return; // its connection was given up
    const connection = command.connection!;
    const unsendable = error instanceof TypeError || error instanceof RangeError;
    if (!(error instanceof ReplyError) && !unsendable) {
      this.#lost(connection, error);
      return;
    }
    this.#sent.delete(command);
    if (unsendable || !this.#mayTryAgain(connection, command, error)) this.#reject(command, error);
    // It is a replica, perhaps since now: its name, or Sentinel, may lead to the master.
    if (error instanceof ReplyError && error.word === 'READONLY') this.#moveFor(error);
    this.#goOn();
  }

  /** The server said that it did not do it, and another try may be answered otherwise. */
  #mayTryAgain(connection: RedisConnection, command: Command, error: ReplyError): boolean {
    if (command.settled) return false;
    const { word } = error;
    const { script, patient } = command.request;
    if (word === 'NOSCRIPT' && script !== undefined) this.#brought.delete(script.sha);
    else if (word === 'LOADING' || (word === 'TRYAGAIN' && patient)) {
      this.#pauseMs = limits.redisAgainMs;
      this.#putOff = error;
    } else if (connection.refused?.(error) === 'elsewhere') {
      this.#moveFor(error);
    } else return false;
    this.#refused.push(command);
    return true;
  }

  #moveFor(error: ReplyError): void {
    this.#isElsewhere = true;
    this.#putOff = error;
  }

  /** When nothing is under way any more, what was refused goes first: so the order stays. */
  #goOn(): void {
    if (this.#sent.size > 0 || (this.#refused.length === 0 && !this.#isElsewhere)) return;
    this.#line.unshift(...this.#refused.splice(0));
    if (this.#isElsewhere) return this.#move();
    const go = (): void => {
      this.#pauseMs = 0;
      this.#drain();
    };
    if (this.#pauseMs === 0) go();
    else setTimeout(go, this.#pauseMs).unref();
  }

  /** Nothing is under way, and nothing is lost: the next connection goes where it is to be done. */
  #move(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#isElsewhere = false;
    this.#moves += 1;
    this.#down = { reason: this.#putOff ?? new Error('it is elsewhere'), sinceMs: nowMs() };
    connection?.close();
    this.#wake?.();
  }

  // Waiting

  #began(): void {
    this.#unsettled += 1;
    if (this.#watch === undefined) this.#watchFor(this.#options.commandMs);
    else if (this.#unsettled === 1) this.#watch.ref();
  }

  /** False if somebody was told before what came of it. */
  #settles(command: Command): boolean {
    if (command.settled) return false;
    command.settled = true;
    this.#unsettled -= 1;
    if (this.#unsettled === 0) {
      this.#watch?.unref();
      this.#idle?.();
    }
    return true;
  }

  #reject(command: Command, error: Error): void {
    if (!this.#settles(command)) return;
    const { explained, reject } = command.request;
    reject(explained === undefined ? error : explained(error));
  }

  #watchFor(ms: number): void {
    // After an event loop that stood still, answers may be there that nobody read yet: they come first.
    const dueMs = nowMs() + ms;
    this.#watch = setTimeout(() => setImmediate(() => setImmediate(() => this.#look(dueMs))), Math.ceil(ms));
  }

  /** Rejects what has waited too long, and gives up a connection that does not answer. */
  #look(dueMs: number): void {
    this.#watch = undefined;
    if (this.#closed) return;
    // What was asked before the event loop, or the machine, stood still is perhaps on its way only now.
    this.#isLate = !this.#isLate && nowMs() - dueMs > limits.redisLateMs;
    if (this.#isLate) return this.#watchOn(limits.redisGraceMs);
    const { commandMs } = this.#options;
    const longAgoMs = nowMs() - commandMs;
    const reason = this.#putOff ?? silent(commandMs);
    for (const command of this.#sent) {
      if (command.sinceMs > longAgoMs) break;
      this.#reject(command, this.#unavailable(reason, 'unknown'));
    }
    const { first } = this.#sent;
    if (first !== undefined && first.sentMs <= longAgoMs) this.#lost(this.#connection, silent(commandMs));
    while (this.#line.length > 0 && this.#line[0]!.sinceMs <= longAgoMs) this.#failFirst();
    const lookMs = this.#oldestMs();
    if (lookMs === undefined) return;
    this.#watchOn(Math.max(1, lookMs - longAgoMs));
  }

  #watchOn(ms: number): void {
    this.#watchFor(ms);
    if (this.#unsettled === 0) this.#watch!.unref();
  }

  /** Since when something waits that is to be looked at. */
  #oldestMs(): number | undefined {
    const { first } = this.#sent;
    if (first !== undefined) return first.settled ? first.sentMs : first.sinceMs;
    return this.#line[0]?.sinceMs;
  }

  #unavailable(reason: Error, applied: Applied): LockstepError {
    return unavailable(this.name, reason, applied, this.#ups > 0);
  }

  #failFirst(): void {
    const command = this.#line.shift()!;
    const reason = this.#down?.reason ?? this.#putOff ?? silent(this.#options.commandMs);
    this.#reject(command, this.#unavailable(reason, 'no'));
  }

  // Connecting

  #lost(connection: RedisConnection | undefined, reason: Error): void {
    if (connection === undefined || connection !== this.#connection) return;
    this.#connection = undefined;
    this.#down = { reason, sinceMs: nowMs() };
    connection.close();
    const unanswered = this.#sent.clear();
    this.#line.unshift(...this.#refused.splice(0));
    for (const command of unanswered) this.#reject(command, this.#unavailable(reason, 'unknown'));
    this.#wake?.();
  }

  async #keepConnected(): Promise<void> {
    for (let failures = 0; !this.#closed;) {
      try {
        await this.#connect();
        failures = 0;
        await this.#lossOfConnection();
      } catch (error) {
        this.#failedToConnect(error as Error);
        failures += 1;
      }
      await this.#pause(backOffMs(failures + this.#moves));
    }
  }

  async #lossOfConnection(): Promise<void> {
    if (this.#connection === undefined) return; // lost already
    this.#ups += 1;
    this.#options.up?.(this.#ups > 1);
    await this.#pause(limits.waitMsMax);
  }

  /** One try, for `commandMs` at most. */
  #connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (reason: Error): void => {
        clearTimeout(timer);
        if (this.#connecting === connection) this.#connecting = undefined;
        connection.close();
        reject(reason);
        this.#lost(connection, reason);
      };
      const { commandMs } = this.#options;
      const timer = setTimeout(() => setImmediate(() => fail(silent(commandMs))), commandMs);
      if (this.#unsettled === 0) timer.unref();
      const connection = this.#clients.connect(fail);
      this.#connecting = connection;
      connection.up
        .then(() => this.#options.prepare(connection))
        .then(() => {
          if (this.#connecting !== connection) return; // it failed meanwhile
          clearTimeout(timer);
          this.#begin(connection);
          resolve();
        })
        .catch(fail);
    });
  }

  #begin(connection: RedisConnection): void {
    this.#connecting = undefined;
    this.#connection = connection;
    this.#brought.clear();
    this.#down = undefined;
    this.#pauseMs = 0;
    this.#isElsewhere = false;
    this.#drain();
  }

  /** A word of the server, such as WRONGPASS, or a certificate will not change soon: nobody waits for that. */
  #failedToConnect(reason: Error): void {
    this.#down = { reason, sinceMs: this.#down?.sinceMs ?? nowMs() };
    const lasts =
      (reason instanceof ReplyError && !passing.has(reason.word)) ||
      /^(?:WRONGPASS|NOAUTH|NOPERM)\b|certificate/i.test(reason.message);
    if (!lasts) return;
    while (this.#line.length > 0) this.#failFirst();
  }

  #pause(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** What a node says that joins, loads, or is not the one to ask. */
const passing: ReadonlySet<string> = new Set(['LOADING', 'MOVED', 'ASK', 'TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN']);

function backOffMs(failures: number): number {
  return Math.min(limits.redisBackOffMsMax, 5 * 2 ** failures) * (0.5 + Math.random() / 2);
}

function silent(ms: number): Error {
  return new Error(`no answer within ${ms} ms`);
}

function nowMs(): number {
  return performance.now();
}
