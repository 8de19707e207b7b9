import type { Call, Model } from '../histories/call.ts';

/** A call on a thing: what it does, and with what. */
export interface ThingInput {
  readonly do: string;
  readonly member: string;
  readonly by: number;
}

/** As JSON gives it; null where there is nothing. */
export type ThingOutput = string | number | boolean | null | readonly (string | number)[];

export type ThingCall = Call<ThingInput, ThingOutput>;
export type ThingModel<State> = Model<State, ThingInput, ThingOutput>;

/** What JavaScript's own things do: the state after a call, and its reply. */
type Plainly<State> = (state: State, input: ThingInput) => readonly [state: State, reply: ThingOutput];

function modelOf<State>(name: string, initial: State, plainly: Plainly<State>): ThingModel<State> {
  return {
    name,
    initial,
    step(state, input, output) {
      const [after, reply] = plainly(state, input);
      return output === undefined || JSON.stringify(output) === JSON.stringify(reply) ? after : undefined;
    },
    key: (state) => JSON.stringify(state),
    isRead: ({ input }) => reads.has(input.do),
    text: ({ input, output }) => `${input.do} ${input.member} ${input.by}: ${JSON.stringify(output) ?? '?'}`,
  };
}

const reads: ReadonlySet<string> = new Set(['has', 'size', 'score', 'rank', 'length', 'get']);

type Members = readonly string[];

const plainSet = modelOf<Members>('set', [], (members, { do: verb, member }) => {
  const isThere = members.includes(member);
  const without = members.filter((other) => other !== member);
  if (verb === 'add') return [[...without, member].sort(), !isThere];
  if (verb === 'delete') return [without, isThere];
  return [members, verb === 'has' ? isThere : members.length];
});

/** Of a set any member may be popped: the reply says which; of one that is not known, nothing follows. */
export const set: ThingModel<Members> = {
  ...plainSet,
  step(members, input, output) {
    if (input.do !== 'pop') return plainSet.step(members, input, output);
    if (output === null) return members.length === 0 ? members : undefined;
    return members.includes(String(output)) ? members.filter((other) => other !== output) : undefined;
  },
};

type Scores = readonly (readonly [member: string, score: number])[];

export const sorted: ThingModel<Scores> = modelOf<Scores>('sorted set', [], (scores, { do: verb, member, by }) => {
  const rank = scores.findIndex(([other]) => other === member);
  const score = scores[rank]?.[1];
  const without = scores.filter(([other]) => other !== member);
  const withScore = (next: number): Scores =>
    [...without, [member, next] as const].sort(([a, i], [b, j]) => i - j || (a < b ? -1 : 1));
  if (verb === 'set') return [withScore(by), score === undefined];
  if (verb === 'add') return [withScore((score ?? 0) + by), (score ?? 0) + by];
  if (verb === 'raise') return score === undefined || by > score ? [withScore(by), true] : [scores, false];
  if (verb === 'delete') return [without, score !== undefined];
  if (verb === 'popMin') return [scores.slice(1), scores[0] ?? null];
  return [scores, verb === 'score' ? (score ?? null) : rank === -1 ? null : rank];
});

export const list: ThingModel<Members> = modelOf<Members>('list', [], (elements, { do: verb, member }) => {
  if (verb === 'push') return [[...elements, member], elements.length + 1];
  if (verb === 'unshift') return [[member, ...elements], elements.length + 1];
  if (verb === 'pop') return [elements.slice(0, -1), elements.at(-1) ?? null];
  if (verb === 'shift') return [elements.slice(1), elements[0] ?? null];
  return [elements, elements.length];
});

export const value: ThingModel<number | null> = modelOf<number | null>('value', null, (now, { do: verb, by }) => {
  if (verb === 'set') return [by, null];
  if (verb === 'delete') return [null, now !== null];
  if (verb === 'getAndSet') return [by, now];
  if (verb === 'compareAndSet') return (now ?? 0) === by - 1 ? [by, true] : [now, false];
  if (verb === 'update') return [(now ?? 0) + by, (now ?? 0) + by];
  return [now, now];
});
