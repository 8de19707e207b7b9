import type { Call, Model } from './call.ts';

/** What a search found. `undecided`: its time was over. */
export interface Finding<Input, Output> {
  readonly verdict: 'linearizable' | 'not linearizable' | 'undecided';
  /** Not linearizable: the calls of the part that is not, and the longest order that could be found for them. */
  readonly calls: readonly Call<Input, Output>[];
  readonly order: readonly Call<Input, Output>[];
}

/**
 * Whether there is an order of all calls, each at one moment between its start and its end, in which a single thread
 * would have got the same replies. Calls without an end may be part of it or not.
 *
 * The search of Wing and Gong ("Testing and verifying concurrent objects", 1993), with Lowe's memory of what was tried
 * ("Testing for linearizability", 2017): a set of calls that leads to a state leads on from there as it did before.
 * Each part of the history is searched alone. Ends after `timeMs`.
 */
export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Call<Input, Output>[],
  timeMs = 60_000,
): Finding<Input, Output> {
  const deadlineMs = performance.now() + timeMs;
  let undecided = false;
  for (const calls of partsOf(model, history)) {
    const found = new Search(model, calls, deadlineMs).run([model.initial]);
    if (found.verdict === 'not linearizable') return found;
    undecided ||= found.verdict === 'undecided';
  }
  return { verdict: undecided ? 'undecided' : 'linearizable', calls: [], order: [] };
}

/** The same from any of these states. */
export function checkFrom<State, Input, Output>(
  model: Model<State, Input, Output>,
  calls: readonly Call<Input, Output>[],
  states: readonly State[],
  deadlineMs: number,
): Finding<Input, Output> {
  return new Search(model, calls, deadlineMs).run(states);
}

function partsOf<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Call<Input, Output>[],
): Call<Input, Output>[][] {
  const parts = new Map<string, Call<Input, Output>[]>();
  for (const call of history) {
    const part = model.part?.(call.input) ?? '';
    const calls = parts.get(part);
    if (calls === undefined) parts.set(part, [call]);
    else calls.push(call);
  }
  return [...parts.values()];
}

/** A call was put next in the order: at this place in the row of moments, leaving this state behind. */
interface Choice<State> {
  readonly at: number;
  readonly state: State;
}

/** How many steps the search takes between two looks at the time. */
const stepsPerLook = 4_096;

/**
 * The moments of a history in a row: the start of each call, and its end if it has one. What was put into the order is
 * taken out of the row; what can come next starts before the first end that is still there.
 */
class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  readonly #calls: readonly Call<Input, Output>[];
  readonly #deadlineMs: number;
  /** Of each moment: its call, from 1 on for a start and -1 down for an end, and its neighbours. 0 is both ends of the row. */
  readonly #moment: Int32Array;
  readonly #next: Int32Array;
  readonly #before: Int32Array;
  readonly #endOf: Int32Array;
  readonly #taken: Taken;
  readonly #tried: Set<string> = new Set();
  #choices: Choice<State>[] = [];
  #longest: number[] = [];

  constructor(model: Model<State, Input, Output>, calls: readonly Call<Input, Output>[], deadlineMs: number) {
    this.#model = model;
    this.#calls = calls.toSorted((a, b) => a.start - b.start);
    this.#deadlineMs = deadlineMs;
    const moments = this.#calls.flatMap((call, i) => {
      const start = { time: call.start, of: i + 1 };
      return call.end === Infinity ? [start] : [start, { time: call.end, of: -i - 1 }];
    });
    moments.sort((a, b) => a.time - b.time || b.of - a.of); // at one moment starts come first: those calls overlap
    const length = moments.length + 1;
    this.#moment = Int32Array.from([0, ...moments.map(({ of }) => of)]);
    this.#next = Int32Array.from({ length }, (_, i) => (i + 1) % length);
    this.#before = Int32Array.from({ length }, (_, i) => (i + length - 1) % length);
    this.#endOf = new Int32Array(calls.length + 1);
    for (const [i, of] of this.#moment.entries()) if (of < 0) this.#endOf[-of] = i;
    this.#taken = new Taken(this.#calls.map((call) => call.end !== Infinity));
  }

  run(states: readonly State[]): Finding<Input, Output> {
    for (const state of states) {
      const verdict = this.#from(state);
      if (verdict !== 'not linearizable') return { verdict, calls: [], order: [] };
    }
    return { verdict: 'not linearizable', calls: this.#calls, order: this.#longest.map((i) => this.#calls[i]!) };
  }

  #from(initial: State): Finding<Input, Output>['verdict'] {
    let state = initial;
    let at = this.#next[0]!;
    for (let steps = 1; this.#taken.left > 0; steps++) {
      if (steps % stepsPerLook === 0 && performance.now() > this.#deadlineMs) return 'undecided';
      const call = this.#moment[at]!;
      if (call > 0) {
        const after = this.#stepTo(call - 1, state);
        if (after === undefined) at = this.#next[at]!;
        else {
          this.#choices.push({ at, state });
          this.#take(at);
          state = after;
          at = this.#next[0]!;
        }
      } else {
        // This end is one too early: another order of what came before it.
        if (this.#choices.length > this.#longest.length) {
          this.#longest = this.#choices.map((each) => this.#callAt(each));
        }
        const last = this.#choices.pop();
        if (last === undefined) return 'not linearizable';
        this.#putBack(last.at);
        state = last.state;
        at = this.#next[last.at]!;
      }
    }
    return 'linearizable';
  }

  /** The state after the call, if it can come next and that was not tried before. */
  #stepTo(call: number, state: State): State | undefined {
    const { input, output, end } = this.#calls[call]!;
    const after = this.#model.step(state, input, output);
    if (after === undefined) return undefined;
    const key = this.#model.key(after);
    if (end === Infinity && key === this.#model.key(state)) return undefined; // it may as well not happen, or later
    const trial = `${this.#taken.with(call)} ${key}`;
    if (this.#tried.has(trial)) return undefined;
    this.#tried.add(trial);
    return after;
  }

  #callAt({ at }: Choice<State>): number {
    return this.#moment[at]! - 1;
  }

  #take(at: number): void {
    const call = this.#moment[at]!;
    this.#taken.add(call - 1);
    this.#cut(at);
    if (this.#endOf[call]! > 0) this.#cut(this.#endOf[call]!);
  }

  #putBack(at: number): void {
    const call = this.#moment[at]!;
    this.#taken.delete(call - 1);
    if (this.#endOf[call]! > 0) this.#mend(this.#endOf[call]!);
    this.#mend(at);
  }

  #cut(at: number): void {
    this.#next[this.#before[at]!] = this.#next[at]!;
    this.#before[this.#next[at]!] = this.#before[at]!;
  }

  #mend(at: number): void {
    this.#next[this.#before[at]!] = at;
    this.#before[this.#next[at]!] = at;
  }
}

/** A set of calls, and a text that is equal for equal sets: short, as most sets are nearly all calls up to some moment. */
class Taken {
  /** Calls with an end that are not taken yet. */
  left: number;
  readonly #isTaken: Uint8Array;
  /** Calls with an end, in order, and those without. */
  readonly #ended: number[] = [];
  readonly #open: number[] = [];
  readonly #place: number[] = [];
  /** All ended calls before this place are taken; none from `#high` on. */
  #low = 0;
  #high = 0;
  /** All calls without an end before this place are taken. */
  #openLow = 0;

  constructor(hasEnd: readonly boolean[]) {
    this.#isTaken = new Uint8Array(hasEnd.length);
    for (const [call, ended] of hasEnd.entries()) {
      const calls = ended ? this.#ended : this.#open;
      this.#place.push(ended ? calls.length : -1 - calls.length);
      calls.push(call);
    }
    this.left = this.#ended.length;
  }

  add(call: number): void {
    this.#isTaken[call] = 1;
    const place = this.#place[call]!;
    if (place < 0) {
      while (this.#openLow < this.#open.length && this.#isTaken[this.#open[this.#openLow]!] === 1) this.#openLow += 1;
      return;
    }
    this.left -= 1;
    this.#high = Math.max(this.#high, place + 1);
    while (this.#low < this.#ended.length && this.#isTaken[this.#ended[this.#low]!] === 1) this.#low += 1;
  }

  delete(call: number): void {
    this.#isTaken[call] = 0;
    const place = this.#place[call]!;
    if (place < 0) {
      this.#openLow = Math.min(this.#openLow, -1 - place);
      return;
    }
    this.left += 1;
    this.#low = Math.min(this.#low, place);
    while (this.#high > 0 && this.#isTaken[this.#ended[this.#high - 1]!] === 0) this.#high -= 1;
  }

  /** The text of the set with this call added. */
  with(call: number): string {
    this.#isTaken[call] = 1;
    let low = this.#low;
    const high = Math.max(this.#high, this.#place[call]! + 1);
    while (low < high && this.#isTaken[this.#ended[low]!] === 1) low += 1;
    let text = `${low}:`;
    for (let place = low + 1; place < high; place++) {
      if (this.#isTaken[this.#ended[place]!] === 1) text += `${place},`;
    }
    let open = this.#openLow;
    while (open < this.#open.length && this.#isTaken[this.#open[open]!] === 1) open += 1;
    text += `+${open}`;
    for (open += 1; open < this.#open.length; open++) if (this.#isTaken[this.#open[open]!] === 1) text += `+${open}`;
    this.#isTaken[call] = 0;
    return text;
  }
}
