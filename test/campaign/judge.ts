import type { Call, Model } from '../histories/call.ts';
import { checkLinearizable } from '../histories/linearizable.ts';
import {
  counter,
  type CounterInput,
  mutex,
  numberedMutex,
  type MutexInput,
  type MutexOutput,
  queue,
  type QueueInput,
  type QueueOutput,
  register,
  type RegisterInput,
  type RegisterOutput,
  type Value,
} from '../histories/models.ts';
import { checkSerializable, type Step, type Transaction } from '../histories/serializable.ts';
import { smallestFailing } from '../histories/smallest.ts';
import { timelineOf } from '../histories/timeline.ts';
import type { Loss } from './places.ts';
import type { History, Recorded } from './record.ts';

/** What was there when everybody had ended. */
export interface End {
  /** How often each message had its effect. */
  readonly effects: ReadonlyMap<string, number>;
  readonly accounts: readonly number[];
  readonly lists: ReadonlyMap<string, readonly number[]>;
}

/** What contradicts the promises: in words, and as a page where a picture says more. */
export interface Problem {
  readonly promise: Promised;
  readonly text: string;
  readonly page?: string;
}

export type Promised =
  | 'exclusion'
  | 'fences grow'
  | 'linearizable'
  | 'serializable'
  | 'messages'
  | 'sums'
  | 'errors'
  | 'progress'
  | 'nothing is left';

export interface Judgement {
  readonly problems: readonly Problem[];
  /** Histories that were too hard for the time: they are neither right nor wrong. */
  readonly undecided: readonly string[];
  /** How many histories of one thing were checked, and how many calls they had. */
  readonly histories: number;
  readonly calls: number;
}

/** For each history: ms. */
const searchMs = 10_000;

/** Judges what clients saw by what is promised. Only over a loss, as documented, may acknowledged writes be gone. */
export function judge(history: History, end: End, losses: readonly Loss[]): Judgement {
  const judging = new Judging(losses);
  for (const text of history.bad) judging.problem('errors', text);
  const things = new Map<string, Recorded[]>();
  for (const call of history.calls) {
    const calls = things.get(call.thing);
    if (calls === undefined) things.set(call.thing, [call]);
    else calls.push(call);
  }
  for (const [thing, calls] of things) {
    const [kind = '', name = ''] = thing.split(':');
    if (kind === 'lock') judging.lock(thing, calls);
    else if (kind === 'register') judging.linearizable(thing, register, calls, registerCall);
    else if (kind === 'counter') judging.linearizable(thing, counter, calls, counterCall);
    else if (kind === 'list') judging.linearizable(thing, queue, calls, listCall);
    else if (kind === 'transactions') judging.transactions(name, calls, end);
    else if (kind === 'queue') judging.messages(calls, end.effects);
  }
  const sum = end.accounts.reduce((a, b) => a + b, 0);
  if (sum !== 0) judging.problem('sums', `all accounts together have ${sum}: ${end.accounts.join(', ')}`);
  return judging;
}

class Judging implements Judgement {
  readonly problems: Problem[] = [];
  readonly undecided: string[] = [];
  histories = 0;
  calls = 0;
  readonly #losses: readonly Loss[];

  constructor(losses: readonly Loss[]) {
    this.#losses = losses;
  }

  problem(promise: Promised, text: string, page?: string): void {
    this.problems.push({ promise, text, ...(page === undefined ? {} : { page }) });
  }

  linearizable<State, Input, Output>(
    thing: string,
    model: Model<State, Input, Output>,
    calls: readonly Recorded[],
    callOf: (call: Recorded) => Call<Input, Output> | undefined,
  ): void {
    if (this.#epochOf(calls) === undefined) return;
    this.#check(
      'linearizable',
      thing,
      model,
      calls.map(callOf).filter((call) => call !== undefined),
    );
  }

  #check<State, Input, Output>(
    promise: Promised,
    thing: string,
    model: Model<State, Input, Output>,
    calls: readonly Call<Input, Output>[],
  ): void {
    this.histories += 1;
    this.calls += calls.length;
    const { verdict } = checkLinearizable(model, calls, searchMs);
    if (verdict === 'undecided') this.undecided.push(thing);
    if (verdict !== 'not linearizable') return;
    const smallest = smallestFailing(model, calls, searchMs);
    const text = (smallest?.calls ?? []).map((call) => `${call.client}: ${model.text(call)}`).join('; ');
    const page = smallest === undefined ? undefined : timelineOf(thing, model, smallest);
    this.problem(promise, `${thing} is no ${model.name}: ${text}`, page);
  }

  /** In each time between two losses, leases exclude each other while they are valid. Over all times, fences grow. */
  lock(thing: string, all: readonly Recorded[]): void {
    const grants = all.filter(({ outcome }) => outcome === 'ok').toSorted((a, b) => a.end - b.end);
    this.#fencesGrow(thing, grants);
    for (let epoch = 0; epoch <= this.#losses.length; epoch++) {
      const until = this.#losses[epoch]?.from ?? Infinity;
      const its = grants.filter((grant) => this.#epochOf([grant]) === epoch);
      const calls = its.flatMap((grant, i) => lockCalls(grant, i + 1, until));
      const hasFences = its.every(({ output }) => output !== null);
      if (calls.length > 0) this.#check('exclusion', thing, hasFences ? mutex : numberedMutex, calls);
    }
  }

  /** Over a loss too: but while it lasts two servers may both be the master. */
  #fencesGrow(thing: string, grants: readonly Recorded[]): void {
    const numbered = grants.filter(({ output }) => output !== null);
    let passed = 0;
    /** By the loss in which it was granted, if in any. */
    const highest = new Map<Loss | undefined, number>();
    for (const grant of numbered.toSorted((a, b) => a.start - b.start)) {
      for (; numbered[passed]!.end < grant.start; passed++) {
        const { output } = numbered[passed]!;
        const loss = this.#lossOf(numbered[passed]!);
        highest.set(loss, Math.max(highest.get(loss) ?? 0, output as number));
      }
      const loss = this.#lossOf(grant);
      const before = [...highest].filter(([other]) => loss === undefined || other !== loss);
      const last = Math.max(0, ...before.map(([, fence]) => fence));
      if ((grant.output as number) <= last) {
        this.problem('fences grow', `${thing}: ${grant.client} got fence ${grant.output} after ${last}`);
      }
    }
  }

  #lossOf({ start, end }: Recorded): Loss | undefined {
    return this.#losses.find(({ from, to }) => start < to && end > from);
  }

  transactions(window: string, calls: readonly Recorded[], end: End): void {
    const epoch = this.#epochOf(calls);
    if (epoch === undefined) return;
    const history: Transaction[] = calls
      .filter(({ tried }) => tried !== undefined)
      .map(({ client, start, tried, outcome }) => ({
        id: `${client}@${start.toFixed(3)}`,
        steps: tried as Step[],
        outcome: ({ ok: 'committed', no: 'aborted', unknown: 'unknown' } as const)[outcome],
      }));
    if (epoch === this.#losses.length) {
      const lists = [...end.lists].filter(([name]) => name.startsWith(`${window}.`));
      history.push({ id: 'the end', steps: lists.map(([read, list]) => ({ read, list })), outcome: 'committed' });
      this.#nothingLost(window, history, new Map(lists));
    }
    this.histories += 1;
    this.calls += history.length;
    for (const { kind, text } of checkSerializable(history)) {
      this.problem('serializable', `transactions of window ${window}: ${kind}: ${text}`);
    }
  }

  #nothingLost(window: string, history: readonly Transaction[], lists: ReadonlyMap<string, readonly number[]>): void {
    for (const [name, list] of lists) {
      if (new Set(list).size < list.length) {
        this.problem('serializable', `list ${name} has an element twice: ${list.join(' ')}`);
      }
    }
    for (const { id, steps, outcome } of history) {
      if (outcome !== 'committed') continue;
      for (const step of steps) {
        if ('append' in step && lists.get(step.append)?.includes(step.element) !== true) {
          this.problem('serializable', `window ${window}: what ${id} appended is gone: ${JSON.stringify(step)}`);
        }
      }
    }
  }

  messages(calls: readonly Recorded[], effects: ReadonlyMap<string, number>): void {
    const pushed = new Map(calls.map((call) => [(call.input as { push: string }).push, call]));
    this.histories += 1;
    this.calls += calls.length;
    for (const [message, times] of effects) {
      if (times !== 1) this.problem('messages', `message ${message} had its effect ${times} times`);
      const push = pushed.get(message);
      if (push === undefined || push.outcome === 'no') this.problem('messages', `message ${message} was never pushed`);
    }
    for (const [message, push] of pushed) {
      if (push.outcome !== 'ok' || effects.has(message) || this.#mayBeLost(push)) continue;
      this.problem('messages', `message ${message}, pushed by ${push.client}, had no effect`);
    }
  }

  #mayBeLost({ start, end }: Recorded): boolean {
    return this.#losses.some(({ from, to, reachMs }) => start < to && end > from - reachMs);
  }

  /** Between which two losses all of this happened; nothing where a loss was in between. */
  #epochOf(calls: readonly Recorded[]): number | undefined {
    const start = calls.reduce((first, call) => Math.min(first, call.start), Infinity);
    const last = calls.reduce((latest, call) => Math.max(latest, call.end === Infinity ? call.start : call.end), 0);
    if (this.#losses.some(({ from, to }) => start < to && last > from)) return undefined;
    return this.#losses.filter(({ to }) => to <= start).length;
  }
}

/** A grant and the end of its lease: not before it was last seen to be valid. Without fences the order of replies counts. */
function lockCalls(grant: Recorded, place: number, until: number): Call<MutexInput, MutexOutput>[] {
  const { client, start, end, output, validAt, releasedAt } = grant;
  const fence = (output as number | null) ?? place;
  const from = Math.min(validAt, until);
  const ending: Call<MutexInput, MutexOutput> =
    releasedAt < until
      ? { client, input: { do: 'release', fence }, output: undefined, start: from, end: releasedAt }
      : { client, input: { do: 'expire', fence }, output: undefined, start: from, end: Infinity };
  return [{ client, input: { do: 'acquire' }, output: fence, start, end }, ending];
}

function registerCall(call: Recorded): Call<RegisterInput, RegisterOutput> | undefined {
  const { client, start, end, outcome, tried } = call;
  const input = call.input as { do: string; from: Value; to: Value; value: number };
  const isOver = outcome === 'ok';
  if (outcome === 'no' || (input.do === 'read' && !isOver)) return undefined;
  const times = { client, start, end };
  if (input.do === 'read') return { ...times, input: { do: 'read' }, output: call.output as Value };
  if (input.do === 'write') {
    return { ...times, input: { do: 'write', value: input.value }, output: isOver ? 'ok' : undefined };
  }
  if (input.do === 'update' && tried === undefined) return undefined;
  const { from, to } = input.do === 'update' ? (tried as { from: Value; to: Value }) : input;
  return { ...times, input: { do: 'cas', from, to }, output: isOver ? (call.output as boolean) : undefined };
}

function counterCall({ client, start, end, outcome, input, output }: Recorded): Call<CounterInput, number> | undefined {
  const given = input as CounterInput;
  if (outcome === 'no' || (given.do === 'get' && outcome !== 'ok')) return undefined;
  return { client, start, end, input: given, output: outcome === 'ok' ? (output as number) : undefined };
}

function listCall({ client, start, end, outcome, input, output }: Recorded): Call<QueueInput, QueueOutput> | undefined {
  if (outcome === 'no') return undefined;
  return {
    client,
    start,
    end,
    input: input as QueueInput,
    output: outcome === 'ok' ? (output as QueueOutput) : undefined,
  };
}
