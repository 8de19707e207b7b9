import type { KeyDump } from '../../src/engines/memory.ts';
import { checkLinearizable } from '../histories/linearizable.ts';
import * as models from './thing-models.ts';
import type { ThingCall, ThingModel } from './thing-models.ts';
import type { ThingsSeen } from './things.ts';

/** What is there in the end, by the public layout (docs/keys.md), and who is. */
export interface End {
  readonly dump: Readonly<Record<string, KeyDump>>;
  /** The store's clock was set: what waits for a time may wait longer. */
  readonly isSet: boolean;
  /** It was set forward so far that what expires is gone. */
  readonly isExpired: boolean;
  readonly alive: ReadonlySet<string>;
}

export interface Wrong {
  readonly invariant: 'exact' | 'nobody is forgotten';
  readonly text: string;
}

/** What is wrong with things in the end, if anything. */
export function* checkThings(seen: ThingsSeen, end: End): Generator<Wrong> {
  const { calls } = seen;
  yield* checkCalls(models.sorted, calls.sorted);
  yield* checkCalls(models.list, calls.list);
  yield* checkCalls(models.value, calls.value);
  // Of a pop whose reply is lost it can't be said which member it took.
  const isClear = calls.set.every(({ input, output }) => input.do !== 'pop' || output !== undefined);
  if (isClear) yield* checkCalls(models.set, calls.set);
  yield* checkTaken(seen, end);
  yield* checkStats(seen, end);
  yield* checkWatches(seen, end);
  yield* checkTopic(seen, end);
}

function* checkCalls<State>(model: ThingModel<State>, calls: readonly ThingCall[]): Generator<Wrong> {
  if (calls.length === 0 || checkLinearizable(model, calls, 1_000).verdict !== 'not linearizable') return;
  yield { invariant: 'exact', text: `${model.name}: ${calls.map((call) => model.text(call)).join(', ')}` };
}

/** Each element is taken once, or still there, or was taken by somebody who died over it. */
function* checkTaken(seen: ThingsSeen, end: End): Generator<Wrong> {
  const there = elementsIn(end);
  yield* checkOnce(seen, there);
  const isAlive = (process: string): boolean => end.alive.has(process);
  if (there.length > 0 && !end.isSet && [...seen.waited].some(isAlive)) {
    yield { invariant: 'nobody is forgotten', text: `a taker waits, though there is ${there.join(', ')}` };
  }
  let mayBeLost = 0;
  for (const [process, many] of seen.takes) if (!isAlive(process)) mayBeLost += many;
  if (seen.takes.size === 0) return; // they may be a topic's
  const lost = [...seen.put].filter((element) => !seen.taken.has(element) && !there.includes(element));
  if (lost.length > mayBeLost) yield { invariant: 'exact', text: `elements are lost: ${lost.join(', ')}` };
}

/** In the list, and handed out. */
function elementsIn({ dump }: End): string[] {
  const stored = (dump['{s}:list:takers']?.value ?? []) as string[];
  const handed = ((dump['{s}:list-taken:takers']?.value ?? []) as [string, string][]).map(([, text]) => text);
  return [...stored, ...handed].map((text) => JSON.parse(text) as string);
}

function* checkOnce({ perhaps, taken }: ThingsSeen, there: readonly string[]): Generator<Wrong> {
  for (const element of new Set([...taken.keys(), ...there])) {
    const times = (taken.get(element) ?? 0) + there.filter((other) => other === element).length;
    if (times > 1) yield { invariant: 'exact', text: `element ${element} is there ${times} times` };
    if (!perhaps.has(element)) yield { invariant: 'exact', text: `nobody pushed element ${element}` };
  }
}

/** All that was recorded is in one window, once; a window that was seen to be over is as it was. */
function* checkStats({ recorded, windows }: ThingsSeen, { dump, isExpired, isSet }: End): Generator<Wrong> {
  if (isExpired) return;
  const prefix = '{s}:stats-window:t:';
  let [count, sum] = [0, 0];
  const stored = new Map<number, string>();
  for (const [key, { value }] of Object.entries(dump)) {
    if (!key.startsWith(prefix)) continue;
    const window = new Map(value as [string, string][]);
    const [its, total, min, max] = ['count', 'sum', 'min', 'max'].map((field) => Number(window.get(field)));
    count += its!;
    sum += total!;
    stored.set(Number(key.slice(prefix.length)), JSON.stringify([its, total, min, max]));
  }
  const isCounted = count >= recorded.count && count <= recorded.count + recorded.perhaps;
  const isSummed = sum >= recorded.sum && sum <= recorded.sum + recorded.perhapsSum;
  if (!isCounted || !isSummed) {
    yield { invariant: 'exact', text: `windows have ${count} values, ${sum}, after ${JSON.stringify(recorded)}` };
  }
  for (const [start, seen] of windows) {
    const now = stored.get(start) ?? '[0,0,null,null]';
    if (!seen.startsWith('[0,') && now !== seen) {
      yield { invariant: 'exact', text: `the window of ${start} was over with ${seen}, and is now ${now}` };
    }
    // Of a name of which nothing is stored, nobody remembers that its windows were looked at.
    if (seen.startsWith('[0,') && stored.has(start) && !isSet) {
      yield { invariant: 'exact', text: `the window of ${start} was over without values, and is now ${now}` };
    }
  }
}

/** Whoever watches ends with what is there. */
function* checkWatches({ watches }: ThingsSeen, { dump, alive }: End): Generator<Wrong> {
  const value = (dump['{s}:value:w']?.value as string | undefined) ?? '0';
  const members = ((dump['{s}:set:w']?.value ?? []) as string[]).map((text) => JSON.parse(text) as string);
  for (const { process, what, state } of watches) {
    const now = what === 'value' ? value : JSON.stringify(members.sort());
    if (!alive.has(process.name) || state === now) continue;
    yield { invariant: 'nobody is forgotten', text: `${process.name} watches ${what}: ${state}, which is ${now}` };
  }
}

/** Whatever was surely published has a place, every reader came to the end, and every message was handled. */
function* checkTopic(seen: ThingsSeen, { dump, alive, isSet }: End): Generator<Wrong> {
  const log = ((dump['{s}:topic-log:t']?.value ?? []) as string[]).map(
    (text) => JSON.parse(text.slice(text.indexOf(':', text.indexOf(':') + 1) + 1)) as string,
  );
  for (const [cursor, message] of seen.messages) {
    if (log[cursor - 1] !== message) yield { invariant: 'exact', text: `message ${cursor} is not ${message}` };
  }
  for (const message of log.filter((one, i) => !seen.perhaps.has(one) || log.indexOf(one) !== i)) {
    yield { invariant: 'exact', text: `message ${message} is there twice, or nobody published it` };
  }
  for (const { process, last } of seen.readers) {
    if (!alive.has(process.name) || last === log.length) continue;
    yield { invariant: 'nobody is forgotten', text: `a reader of ${process.name} is at ${last} of ${log.length}` };
  }
  const unhandled = log.filter((message) => !seen.handled.has(message));
  const works = [...seen.workers].some(({ name }) => alive.has(name));
  if (works && !isSet && unhandled.length > 0) {
    yield { invariant: 'nobody is forgotten', text: `messages of the topic: ${unhandled.join(', ')}` };
  }
}
