import type { Clock } from '../../base/clock.ts';
import { Few } from '../../base/few.ts';
import { limits } from '../../base/limits.ts';
import type { Read, Write } from './steps.ts';

/** What a read gave, and when: reads of one moment are consistent with each other. */
export interface Known {
  readonly texts: readonly string[];
  /** The number of a step; 0: not known to be true of any moment. */
  readonly moment: number;
  /** Whose commit, which is on its way, is to bring it about. */
  readonly by?: Turn;
}

/** What a transaction leaves behind: what a read will give when it is committed. */
export interface Left {
  readonly id: string;
  readonly texts: readonly string[];
}

/**
 * The transactions of a session that touch one name and are not done, in the order in which they came. It stays when they are
 * done: a Map in which entries come and go makes new tables, an old one points to the new one, and the garbage collector takes
 * what came behind an old one for alive.
 */
export interface Line {
  readonly name: string;
  turns: number;
  last: Turn | undefined;
  /** The last one that writes it: where it does not tell what it leaves, nobody knows before it is done. */
  writer: Turn | undefined;
  /** There may be another one of this name. */
  isForgotten: boolean;
}

/** What a transaction wants to write, once its body is over. */
interface Leaving {
  left(): readonly Left[];
}

interface Foreseen extends Known {
  readonly by: Turn;
}

/**
 * The transactions of one session that touch the same do not run into each other in the store: their commits are sent in
 * an order, and each begins with what the ones before it are going to leave, while these are still on their way. Where that
 * can't be foreseen, it waits until they are done. What was foreseen is checked in the store as everything that was read;
 * where a commit is refused, nobody builds on it, or on what was built on it, any more. A place in line spares conflicts, and
 * no more than that: nobody waits for long for one who does not move.
 */
export class Turns {
  readonly #lines: Map<string, Line> = new Map();
  readonly #clock: Clock;
  /** Who waits; true where they did already at the last look. */
  readonly #waiting: Map<Turn, boolean> = new Map();
  #isWatching = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What a read will give when all is committed that is on its way; nothing where nobody writes it, or that is not known. */
  foreseen(read: Read): Known | undefined {
    return leftIn(lineOf(read, this.#lines), read);
  }

  /** What a read gave at a commit that was refused for it: what one that is done left is not there any more. */
  learn(read: Read, texts: readonly string[]): void {
    const writer = lineOf(read, this.#lines)?.writer;
    if (writer?.isOver === true) writer.unlearn(read, texts);
  }

  /** When nobody is in its way, or it has waited for long; nothing where nobody is. */
  granted(turn: Turn): Promise<void> | undefined {
    const { granted } = turn;
    if (granted === undefined) return undefined;
    this.#waiting.set(turn, false);
    this.#watch();
    return granted.then(() => void this.#waiting.delete(turn));
  }

  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#clock.timer(limits.transactionPlaceMs, () => {
      this.#isWatching = false;
      for (const [turn, hasWaited] of this.#waiting) {
        if (hasWaited) turn.grant();
        else this.#waiting.set(turn, true);
      }
      if (this.#waiting.size > 0) this.#watch();
    });
  }

  /** Gets in line for all that is read and written at once, so that none waits for one that waits for it. */
  take(reads: readonly { readonly read: Read }[], writes: readonly Write[]): Turn {
    const turn = new Turn(this.#lines, reads);
    for (const { read } of reads) turn.enter(read.name, lineOf(read, this.#lines));
    for (const { name } of writes) if (name !== '') turn.enter(name);
    return turn;
  }
}

/** A place in line. */
export class Turn {
  /** Its commit was refused, or rests on one that was. */
  isVoid = false;
  isOver = false;
  readonly #lines: Map<string, Line>;
  /** In which it stands. */
  #own: Line[] = [];
  #reads: readonly { readonly read: Read }[];
  #isSent = false;
  /** So many stand in its way. */
  #ahead = 0;
  #grant: (() => void) | undefined;
  /** Those who wait until it is sent, or over. */
  #waiting: Turn[] | undefined;
  /** Those who have read what it will leave. */
  #resting: Turn[] | undefined;
  /** Where that is to be learned, by read, as long as nobody asked. */
  #leaving: Leaving | undefined;
  #left: Few<Foreseen | undefined> | undefined;

  constructor(lines: Map<string, Line>, reads: readonly { readonly read: Read }[]) {
    this.#lines = lines;
    this.#reads = reads;
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#own.map(({ name }) => name));
  }

  /** As `Turns.foreseen`, of what it reads itself. */
  foreseen(read: Read): Known | undefined {
    return leftIn(this.#line(read.name), read);
  }

  /** Nobody else enters a line before it has entered all. `known`: the line, if that is known. */
  enter(name: string, known?: Line): void {
    const line = known ?? this.#line(name) ?? this.#lines.get(name) ?? this.#newLine(name);
    if (line.last === this) return;
    this.#own.push(line);
    if (line.last === undefined) line.turns = 0;
    else if (!line.last.#isSent) line.last.#letWait(this);
    else if (line.writer?.hides(name, this) === true) line.writer.#letWait(this);
    line.turns += 1;
    line.last = this;
  }

  /** Its own, or where it has many, anybody's. */
  #line(name: string): Line | undefined {
    if (this.#own.length > walkMax) return this.#lines.get(name);
    for (const line of this.#own) if (line.name === name) return line;
    return undefined;
  }

  #newLine(name: string): Line {
    if (this.#lines.size >= limits.transactionLinesMax) forgetIdle(this.#lines);
    const line: Line = { name, turns: 0, last: undefined, writer: undefined, isForgotten: false };
    this.#lines.set(name, line);
    return line;
  }

  /** Nothing: nobody is in its way. */
  get granted(): Promise<void> | undefined {
    return this.#ahead <= 0 ? undefined : new Promise((grant) => (this.#grant = grant));
  }

  /** Whoever is in its way. */
  grant(): void {
    this.#ahead = 0;
    this.#grant?.();
  }

  /** Its commit is about to be sent. `leaving`: what it wants to write; `rests`: on whose it builds. */
  send(writes: readonly Write[], leaving: Leaving, rests: Iterable<Turn>): void {
    for (const by of rests) {
      if (by.isVoid) this.isVoid = true;
      else if (!by.isOver) (by.#resting ??= []).push(this);
    }
    this.#isSent = true;
    if (!this.isVoid) this.#foretell(writes, leaving);
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    for (const turn of waiting) {
      if (turn.isOver) continue;
      if (this.#hidesAny(turn)) (this.#waiting ??= []).push(turn);
      else turn.#proceed();
    }
  }

  #foretell(writes: readonly Write[], leaving: Leaving): void {
    this.#leaving = leaving;
    for (const { name } of writes) {
      const line = this.#line(name);
      if (line !== undefined) line.writer = this;
    }
  }

  /** What a read gives when it is done, as far as that is known. */
  leaves({ id }: Read): Foreseen | undefined {
    if (this.#leaving !== undefined) this.#tell(this.#leaving);
    return this.#left?.get(id);
  }

  #tell(leaving: Leaving): void {
    this.#leaving = undefined;
    this.#left = new Few();
    for (const { id, texts } of leaving.left()) this.#left.set(id, { texts, moment: 0, by: this });
  }

  /** A read gives something else by now. */
  unlearn(read: Read, texts: readonly string[]): void {
    const known = this.leaves(read);
    if (known !== undefined && !same(known.texts, texts)) this.#left!.set(read.id, undefined);
  }

  /** Leaves all lines, also before it was granted. Idempotent. `isDone`: what it was to leave is there. */
  end(isDone: boolean): void {
    if (this.isOver) return;
    this.#isSent = true;
    this.isOver = true;
    if (!isDone) this.#void();
    // Each builds on one before: without this the last would keep all of them.
    this.#reads = nothing;
    this.#resting = undefined;
    for (const line of this.#own) {
      line.turns -= 1;
      if (line.turns === 0) line.last = line.writer = undefined;
      else if (line.writer === this && !this.isVoid && this.#leaving !== undefined) this.#tell(this.#leaving);
    }
    this.#own = [];
    this.#leaving = undefined; // it knows on what it builds
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const turn of waiting) turn.#proceed();
  }

  /** Whether it is not known what this one, which wrote a name, leaves of what `turn` reads. */
  hides(name: string, turn: Turn): boolean {
    if (this.isOver) return false;
    for (const { read } of turn.#reads) {
      if (read.name === name && this.leaves(read) === undefined) return true;
    }
    return false;
  }

  #hidesAny(turn: Turn): boolean {
    for (const { name, writer } of turn.#own) if (writer === this && this.hides(name, turn)) return true;
    return false;
  }

  #letWait(turn: Turn): void {
    (this.#waiting ??= []).push(turn);
    turn.#ahead += 1;
  }

  #proceed(): void {
    this.#ahead -= 1;
    if (this.#ahead === 0) this.#grant?.();
  }

  #void(): void {
    this.isVoid = true;
    for (const turn of this.#resting ?? []) if (!turn.isOver && !turn.isVoid) turn.#void();
    this.#resting = undefined;
  }
}

const nothing: readonly never[] = [];

/** Up to so many lines, to walk along them is as quick as to look one up. */
const walkMax = 8;

/** The line for what a read depends on, if there is one. */
function lineOf(read: Read, lines: ReadonlyMap<string, Line>): Line | undefined {
  const { line } = read;
  if (line !== undefined && !line.isForgotten) return line;
  return (read.line = lines.get(read.name));
}

function leftIn(line: Line | undefined, read: Read): Known | undefined {
  const writer = line?.writer;
  return writer === undefined || writer.isVoid ? undefined : writer.leaves(read);
}

function forgetIdle(lines: Map<string, Line>): void {
  for (const [name, line] of lines) {
    if (line.turns > 0) continue;
    line.isForgotten = true;
    lines.delete(name);
  }
}

/** Whether two reads gave the same. */
export function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
