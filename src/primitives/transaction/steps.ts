import { isLockstepError, LockstepError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { wait as pause } from './pause.ts';
import { commit as commitCells, look as lookAtCells } from '../../operations/cells.ts';
import * as operations from '../../operations/transaction.ts';
import { forgetCommits, type Session } from '../../session/session.ts';
import { type CellStep, cellStep, isCell, isOfCells } from './cells.ts';
import type { Known, Line, Turn } from './turns.ts';

/** Where a thing is: its keys, and what Redis calls the type of each. */
export interface Place {
  /** For messages: `map "stock"`. */
  readonly what: string;
  readonly keys: readonly string[];
  readonly kinds: readonly string[];
}

/** A verb of operations/transaction.ts that reads. */
export interface Read {
  /** The same for what reads the same. */
  readonly id: string;
  /** What it depends on: a thing, or a part of it. */
  readonly name: string;
  readonly place: Place;
  readonly verb: string;
  readonly parameters: readonly string[];
  /** Where the transactions of a session stand that depend on `name`: kept by `Turns`, which looks it up by that otherwise. */
  line?: Line | undefined;
  /** The last step by cells that it was written down in, and the place of its cell there. */
  step?: number;
  cell?: number;
}

/** A verb that writes. */
export interface Write {
  /** What it changes; '' where transactions that do so need not take turns. */
  readonly name: string;
  readonly place: Place;
  readonly verb: string;
  readonly parameters: readonly string[];
}

/** What must still be as it was read, and what is written then. */
export interface Request {
  /** Who asks for the commit lock; '' for nobody. */
  readonly ticket: string;
  readonly reads: readonly Expected[];
  readonly writes: readonly Write[];
  /** Ends before anybody hears what came of the request. */
  readonly turn: Turn | undefined;
}

/** A read, and what it must give. */
export interface Expected {
  readonly read: Read;
  readonly known: { readonly texts: readonly string[] };
}

/** What came of a request: `now`, by read, is of one moment. */
export type Outcome =
  | { readonly is: 'ok'; readonly moment: number }
  | {
      /** The commit lock: got by this refusal, had before it, had by somebody else. */
      readonly is: 'conflict' | 'granted' | 'overtaken' | 'turn';
      readonly moment: number;
      readonly now: readonly (readonly string[])[];
    };

/** Who asked. */
export interface Asker {
  /** The reply was lost, and the question goes on: it may be done or not. */
  doubt(): void;
}

interface Asked extends Request {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
  readonly asker: Asker | undefined;
  readonly length: number;
}

/** Somebody who wants to know what a read gives. */
export interface Looking {
  readonly read: Read;
  resolve(known: Known): void;
  reject(error: unknown): void;
}

/**
 * A session's way to the store for all its transactions: what they ask for in one turn of the event loop goes in one
 * step, and waits while too many steps are on their way. A step whose reply was lost is asked about until that is
 * known, at most for `limits.commitLearnMs`.
 */
export class Steps {
  readonly #session: Session;
  readonly #slots: number[] = Array.from({ length: limits.transactionSteps }, (_, slot) => slot);
  #line: Asked[] = [];
  #looks: Looking[] = [];
  #scheduled = false;
  #ids = 0;
  #moments = 0;
  #usualMs = 0;
  /** Steps one behind the other of which nothing was done. */
  #inVain = 0;
  #apart: Promise<void> | undefined;
  /** Until then no step goes by cells, as one could not: monotonic ms. */
  #otherUntilMs = -Infinity;
  #idle: (() => void) | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Rejects with `UNAVAILABLE` where nothing was written, `AMBIGUOUS` where that can't be learned, `WRONG_KIND`. */
  ask({ ticket, reads, writes, turn }: Request, asker?: Asker): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const length = lengthOf(reads, writes);
      this.#line.push({ ticket, reads, writes, turn, resolve, reject, asker, length });
      this.#schedule();
    });
  }

  /** Learns what a read gives; those of one turn of the event loop at one moment. */
  look(looking: Looking): void {
    this.#looks.push(looking);
    this.#schedule();
  }

  /** How long the last steps took, as a mean. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /**
   * When to try again what was refused; nothing: at once. Sessions that want the same keep out of each other's way by random
   * pauses that grow, while the transactions of one session stay together: those that wait go in one step again.
   */
  apart(): Promise<void> | undefined {
    if (this.#inVain === 0 || this.#apart !== undefined) return this.#apart;
    const { clock } = this.#session;
    const ms = clock.random() * Math.min(limits.transactionPauseMsMax, this.#usualMs * 2 ** (this.#inVain + 1));
    this.#apart = pause(clock, ms).then(() => (this.#apart = undefined));
    return this.#apart;
  }

  /** Waits for what is on its way, and has the store forget what came of it. */
  async close(): Promise<void> {
    if (this.#slots.length < limits.transactionSteps) await new Promise<void>((idle) => (this.#idle = idle));
    if (this.#ids === 0) return;
    const { engine, keys, info } = this.#session;
    await forgetCommits(engine, keys, info.id).catch(nothing);
  }

  #schedule(): void {
    if (this.#scheduled || (this.#looks.length === 0 && (this.#line.length === 0 || this.#slots.length === 0))) return;
    this.#scheduled = true;
    // When all tasks that this turn woke have asked.
    process.nextTick(this.#flush);
  }

  /** Reads go with commits where these go anyway. */
  readonly #flush = (): void => {
    this.#scheduled = false;
    while (this.#line.length > 0 && this.#slots.length > 0) {
      const group = this.#nextGroup();
      const looks = this.#looks.splice(0, limits.transactionsPerStep);
      const slot = this.#slots.pop()!;
      this.#send(group, looks, slot).then(
        () => this.#came(slot),
        () => this.#came(slot), // it does not reject
      );
    }
    while (this.#looks.length > 0) {
      const looks = this.#looks.splice(0, limits.transactionsPerStep);
      this.#look(looks).catch((error: unknown) => looks.forEach((looking) => looking.reject(error)));
    }
  };

  #came(slot: number): void {
    this.#slots.push(slot);
    if (this.#slots.length === limits.transactionSteps) this.#idle?.();
    this.#schedule();
  }

  async #look(looks: readonly Looking[]): Promise<void> {
    if (this.#areOfCells(looks)) {
      const step = cellStep(thingsAlone, [], looks);
      const reply = await this.#orOther(this.#session.engine.runBatch(lookAtCells, step.keys, step.args));
      if (reply[0] !== 'other') return this.#settleCells([], looks, step, reply);
    }
    const { keys, args, places } = this.#begin('', '', [], looks);
    pushLooks(looks, places, args);
    this.#answer(looks, keys, await this.#session.engine.runBatch(operations.look, keys, args), 1);
  }

  #nextGroup(): Asked[] {
    let length = 0;
    let count = 0;
    while (count < this.#line.length && count < limits.transactionsPerStep) {
      length += this.#line[count]!.length;
      if (count > 0 && length > limits.transactionStepLength) break;
      count += 1;
    }
    if (count === this.#line.length) {
      const all = this.#line;
      this.#line = [];
      return all;
    }
    return this.#line.splice(0, count);
  }

  /** Never rejects. */
  async #send(group: readonly Asked[], looks: readonly Looking[], slot: number): Promise<void> {
    const { engine, clock } = this.#session;
    const beganMs = clock.monotonicMs();
    const writes = group.some((asked) => asked.writes.length > 0 || asked.ticket !== '');
    const id = writes && engine.losesReplies ? String((this.#ids += 1)) : '';
    const field = id === '' ? '' : `${this.#session.info.id}:${slot}`;
    try {
      await this.#carryOut(group, looks, field, id);
    } catch (error) {
      for (const looking of looks) looking.reject(error);
      for (const asked of group) fail(asked, error);
    }
    this.#usualMs += (clock.monotonicMs() - beganMs - this.#usualMs) / 8;
  }

  async #carryOut(group: readonly Asked[], looks: readonly Looking[], field: string, id: string): Promise<void> {
    if (group.every(isOfCells) && isSmall(group) && this.#areOfCells(looks)) {
      const step = this.#cellStep(group, looks, field, id);
      const reply = await this.#orOther(this.#reply(commitCells, step, group, looks));
      if (reply[0] === 'done') return this.#settleDone(group, looks, String(reply[1]));
      if (reply[0] !== 'other') return this.#settleCells(group, looks, step, reply);
    }
    const step = this.#encode(group, looks, field, id);
    const reply = await this.#reply(operations.commit, step, group, looks);
    if (reply[0] === 'done') return this.#settleDone(group, looks, String(reply[1]));
    this.#answer(looks, step.keys, reply, this.#settle(group, step.keys, reply));
  }

  async #reply(
    operation: Commit,
    { keys, args }: { readonly keys: readonly string[]; readonly args: readonly string[] },
    group: readonly Asked[],
    looks: readonly Looking[],
  ): Promise<readonly (string | number)[]> {
    try {
      return await this.#session.engine.runBatch(operation, keys, args);
    } catch (error) {
      if (args[1] === '' || !isLost(error)) throw error;
      for (const looking of looks) looking.reject(error);
      return this.#learn(operation, group, keys, args, error);
    }
  }

  // Steps over cells

  #areOfCells(looks: readonly Looking[]): boolean {
    return this.#session.clock.monotonicMs() >= this.#otherUntilMs && looks.every(({ read }) => isCell(read));
  }

  #cellStep(group: readonly Request[], looks: readonly Looking[], field: string, id: string): CellStep {
    const { commits, lock } = this.#session.keys.commit;
    return cellStep({ keys: [commits, lock], args: [field, id] }, group, looks);
  }

  /** `other` too where a key is of a wrong kind: the step that looks closer says whose. */
  async #orOther(reply: Promise<readonly (string | number)[]>): Promise<readonly (string | number)[]> {
    let came: readonly (string | number)[] = ['other'];
    try {
      came = await reply;
    } catch (error) {
      if (!isLockstepError(error, 'WRONG_KIND')) throw error;
    }
    if (came[0] === 'other') this.#otherUntilMs = this.#session.clock.monotonicMs() + limits.transactionOtherMs;
    return came;
  }

  #settleCells(
    group: readonly Asked[],
    looks: readonly Looking[],
    step: CellStep,
    reply: readonly (string | number)[],
  ): void {
    const moment = (this.#moments += 1);
    const outcomes = String(reply[1]).split(':');
    if (group.length > 0) this.#inVain = outcomes.includes('ok') ? 0 : this.#inVain + 1;
    for (let i = 0; i < group.length; i++) {
      const asked = group[i]!;
      const is = outcomes[i + 1] as 'ok' | 'conflict' | 'turn';
      asked.turn?.end(is === 'ok');
      if (is === 'ok') asked.resolve({ is, moment });
      else asked.resolve({ is, moment, now: asked.reads.map(({ read }) => step.textsOf(read, reply)) });
    }
    for (const looking of looks) looking.resolve({ texts: step.textsOf(looking.read, reply), moment });
  }

  /** Asks what came of a step, by asking for it again: it is done only where it was not done before. */
  async #learn(
    operation: Commit,
    group: readonly Asked[],
    keys: readonly string[],
    args: readonly string[],
    lost: unknown,
  ): Promise<readonly (string | number)[]> {
    for (const { asker } of group) asker?.doubt();
    const { engine, clock, closing } = this.#session;
    const endMs = clock.monotonicMs() + limits.commitLearnMs;
    for (let tries = 0; !closing && clock.monotonicMs() < endMs; tries++) {
      await pause(clock, clock.random() * Math.min(250, 2 ** tries));
      try {
        return await engine.runBatch(operation, keys, args);
      } catch (error) {
        if (isLockstepError(error, 'WRONG_KIND')) throw error; // it was not done
        if (!isLockstepError(error, 'UNAVAILABLE')) break;
      }
    }
    throw ambiguous(lost);
  }

  /** What every step begins with. */
  #begin(field: string, id: string, group: readonly Asked[], looks: readonly Looking[]): Begun {
    const { commits, lock, queue } = this.#session.keys.commit;
    const keys = [commits, lock, queue];
    const args = [field, id, ''];
    const places = new Map<string, string>();
    for (const asked of group) {
      for (const { read } of asked.reads) enter(read.place, places, keys, args);
      for (const { place } of asked.writes) enter(place, places, keys, args);
    }
    for (const { read } of looks) enter(read.place, places, keys, args);
    args[2] = String(keys.length - 3);
    return { keys, args, places };
  }

  #encode(group: readonly Asked[], looks: readonly Looking[], field: string, id: string): Begun {
    const begun = this.#begin(field, id, group, looks);
    const { args, places } = begun;
    for (const asked of group) {
      args.push(asked.ticket);
      let before = '';
      for (const { read, known } of asked.reads) {
        before = pushStep(read, before, places, args);
        pushExpected(known.texts, args);
      }
      args.push('!');
      before = '';
      for (const write of asked.writes) before = pushStep(write, before, places, args);
      args.push(';');
    }
    if (looks.length > 0) {
      args.push('?');
      pushLooks(looks, places, args);
    }
    return begun;
  }

  /** Where in the reply it ends. */
  #settle(group: readonly Asked[], keys: readonly string[], reply: readonly (string | number)[]): number {
    const moment = (this.#moments += 1);
    let at = 1;
    if (group.length > 0) this.#inVain += 1;
    for (const asked of group) {
      const is = reply[at++] as Outcome['is'] | `kind-${number}`;
      asked.turn?.end(is === 'ok');
      if (is === 'ok') {
        this.#inVain = 0;
        asked.resolve({ is, moment });
      } else if (is.startsWith('kind-')) {
        asked.reject(
          wrongKind([...asked.reads.map(({ read }) => read), ...asked.writes], keys[Number(is.slice('kind-'.length))]!),
        );
      } else {
        const now: string[][] = [];
        for (let i = 0; i < asked.reads.length; i++) {
          const count = reply[at++] as number;
          now.push(reply.slice(at, at + count) as string[]);
          at += count;
        }
        asked.resolve({ is: is as Exclude<Outcome['is'], 'ok'>, moment, now });
      }
    }
    return at;
  }

  #answer(looks: readonly Looking[], keys: readonly string[], reply: readonly (string | number)[], from: number): void {
    const moment = (this.#moments += 1);
    let at = from;
    for (const looking of looks) {
      const count = reply[at++]!;
      if (typeof count === 'string') {
        looking.reject(wrongKind([looking.read], keys[Number(count.slice('kind-'.length))]!));
      } else looking.resolve({ texts: reply.slice(at, (at += count)) as string[], moment });
    }
  }

  /** What was refused was not done: it may as well be asked for anew, and gets an answer. */
  #settleDone(group: readonly Asked[], looks: readonly Looking[], record: string): void {
    this.#looks.push(...looks);
    const moment = (this.#moments += 1);
    const outcomes = record.split(':').slice(1);
    for (const [i, asked] of group.entries()) {
      if (outcomes[i] === 'ok' && asked.writes.length > 0) {
        asked.turn?.end(true);
        asked.resolve({ is: 'ok', moment });
      } else this.#line.push(asked);
    }
  }
}

type Commit = typeof operations.commit;

/** Redis's Lua can't hand over more at once. */
function isSmall(group: readonly Request[]): boolean {
  let cells = 0;
  for (const { reads, writes } of group) cells += reads.length + writes.length;
  return cells <= limits.transactionCellsMax;
}

interface Begun {
  readonly keys: string[];
  readonly args: string[];
  /** Of each key of a thing in `keys`. */
  readonly places: ReadonlyMap<string, string>;
}

function nothing(): void {}

/** Nothing is in doubt where nothing was to be written. */
function fail(asked: Asked, error: unknown): void {
  asked.turn?.end(false);
  asked.reject(asked.writes.length === 0 && isLockstepError(error, 'AMBIGUOUS') ? error.cause : error);
}

/** The key of the thing, which the next step need not name again. */
function pushStep(
  { verb, place, parameters }: Read | Write,
  before: string,
  places: ReadonlyMap<string, string>,
  args: string[],
): string {
  const key = place.keys[0]!;
  args.push(verb, key === before ? '' : places.get(key)!);
  for (const parameter of parameters) args.push(parameter);
  return key;
}

function pushLooks(looks: readonly Looking[], places: ReadonlyMap<string, string>, args: string[]): void {
  let before = '';
  for (const { read } of looks) before = pushStep(read, before, places, args);
}

function pushExpected(texts: readonly string[], args: string[]): void {
  if (texts.length === 1) args.push('=', texts[0]!);
  else if (texts.length === 0) args.push('0');
  else args.push('*', String(texts.length), ...texts);
}

function enter(place: Place, places: Map<string, string>, keys: string[], args: string[]): void {
  const key = place.keys[0]!;
  if (places.has(key)) return;
  places.set(key, String(keys.length));
  for (const each of place.keys) keys.push(each);
  for (const kind of place.kinds) args.push(kind);
}

function lengthOf(reads: readonly Expected[], writes: readonly Write[]): number {
  let length = 0;
  for (const { read, known } of reads) {
    for (const text of read.parameters) length += text.length;
    for (const text of known.texts) length += text.length;
  }
  for (const { parameters } of writes) for (const text of parameters) length += text.length;
  return length;
}

/** What a step begins with that only looks at cells. */
const thingsAlone = { keys: [], args: [] };

/** Whether a step that failed may have been carried out. */
function isLost(error: unknown): boolean {
  return isLockstepError(error, 'UNAVAILABLE') && error.details['applied'] === 'unknown';
}

function ambiguous(cause: unknown): LockstepError {
  return new LockstepError(
    'AMBIGUOUS',
    'the transaction may be committed or not: the reply of its commit was lost, and the store did not answer in time when it ' +
      'was asked what came of it; read what the transaction would have written before you run it again',
    { cause },
  );
}

function wrongKind(steps: readonly (Read | Write)[], key: string): LockstepError {
  const { what, kinds } = steps.find((step) => step.place.keys[0] === key)!.place;
  const wanted = kinds[0]!;
  return new LockstepError(
    'WRONG_KIND',
    `the key ${JSON.stringify(key)} of ${what}, or one beside it, holds something else than a ${wanted}: ` +
      'another kind of thing, or another program, uses it; choose another name, or delete the key. Nothing was written',
    { details: { key, wanted } },
  );
}
