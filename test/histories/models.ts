import type { Call, Model } from './call.ts';

// A register with compare-and-set

export type RegisterInput =
  | { readonly do: 'read' }
  | { readonly do: 'write'; readonly value: Value }
  | { readonly do: 'cas'; readonly from: Value; readonly to: Value };
/** What a read gave; 'ok' of a write; whether a compare-and-set found what it expected. */
export type RegisterOutput = Value | 'ok' | boolean;
/** null: nothing was written yet. */
export type Value = number | null;

/** One value: read, write, compare-and-set. */
export const register: Model<Value, RegisterInput, RegisterOutput> = {
  name: 'register',
  initial: null,
  step(value, input, output) {
    switch (input.do) {
      case 'read':
        return output === undefined || output === value ? value : undefined;
      case 'write':
        return input.value;
      case 'cas': {
        const isThere = value === input.from;
        if (output !== undefined && output !== isThere) return undefined;
        return isThere ? input.to : value;
      }
    }
  },
  key: String,
  isRead: ({ input, output }) => input.do === 'read' || output === false,
  states(calls) {
    const values = new Set<Value>([null]);
    for (const { input } of calls) {
      if (input.do === 'write') values.add(input.value);
      if (input.do === 'cas') values.add(input.to);
    }
    return [...values];
  },
  text({ input, output }) {
    const reply = output === undefined ? '?' : String(output ?? 'nil');
    if (input.do === 'read') return `read: ${reply}`;
    if (input.do === 'write') return `write ${input.value ?? 'nil'}${output === undefined ? ': ?' : ''}`;
    return `cas ${input.from ?? 'nil'} → ${input.to ?? 'nil'}: ${reply}`;
  },
};

// A lock that gives fencing tokens

export type MutexInput =
  | { readonly do: 'acquire' }
  | { readonly do: 'release'; readonly fence: number }
  /** The lease ran out: at some time after its start, or never. */
  | { readonly do: 'expire'; readonly fence: number };
/** The fence of a grant, 0 where the lock was not free; whether what was released was still held. */
export type MutexOutput = number | boolean;

interface Mutex {
  /** The fence of the holder; 0: free; -1: held by somebody who did not hear of it. */
  readonly holder: number;
  /** The highest fence that is known to be given out. */
  readonly last: number;
}

/** One holder at a time; each grant has a higher fence than all before. */
export const mutex: Model<Mutex, MutexInput, MutexOutput> = {
  name: 'mutex with fence',
  initial: { holder: 0, last: 0 },
  step({ holder, last }, input, output) {
    if (input.do === 'acquire') {
      if (output === 0) return holder === 0 ? undefined : { holder, last };
      if (holder !== 0) return undefined;
      if (output === undefined) return { holder: -1, last };
      return typeof output === 'number' && output > last ? { holder: output, last: output } : undefined;
    }
    const isHeld = holder === input.fence;
    if (input.do === 'expire') return isHeld ? { holder: 0, last } : undefined;
    if (output !== undefined && output !== isHeld) return undefined;
    return { holder: isHeld ? 0 : holder, last };
  },
  key: ({ holder, last }) => `${holder} ${last}`,
  isRead: ({ output }) => output === 0 || output === false,
  text({ input, output }) {
    const reply = output === undefined ? '?' : String(output);
    if (input.do === 'acquire') return `acquire: ${output === 0 ? 'held' : reply}`;
    return `${input.do} ${input.fence}${input.do === 'release' ? `: ${reply}` : ''}`;
  },
};

/** Of grants that were numbered in the order of their ends, which is theirs: whose lease is valid has not been released yet. */
export const numberedMutex: Model<Mutex, MutexInput, MutexOutput> = {
  ...mutex,
  name: 'mutex',
  step(state, input, output) {
    return input.do === 'acquire' && output !== state.last + 1 ? undefined : mutex.step(state, input, output);
  },
};

// A counter

export type CounterInput =
  | { readonly do: 'add'; readonly by: number }
  | { readonly do: 'get' }
  | { readonly do: 'set'; readonly value: number };

/** An integer: `add` and `get` give the value after, `set` the one before. */
export const counter: Model<number, CounterInput, number> = {
  name: 'counter',
  initial: 0,
  step(value, input, output) {
    const after = input.do === 'add' ? value + input.by : input.do === 'set' ? input.value : value;
    const reply = input.do === 'set' ? value : after;
    return output === undefined || output === reply ? after : undefined;
  },
  key: String,
  isRead: ({ input }) => input.do === 'get' || (input.do === 'add' && input.by === 0),
  text({ input, output }) {
    const what = input.do === 'add' ? `add ${input.by}` : input.do === 'set' ? `set ${input.value}` : 'get';
    return `${what}: ${output ?? '?'}`;
  },
};

// A map: each of its keys alone

export type MapInput =
  | { readonly do: 'get' | 'has' | 'delete'; readonly key: string }
  | { readonly do: 'set'; readonly key: string; readonly value: string };
/** What `get` gave; whether the key was there; 'ok' of a `set`. */
export type MapOutput = string | null | boolean;

/** From keys to texts. */
export const map: Model<string | null, MapInput, MapOutput> = {
  name: 'map',
  initial: null,
  step(value, input, output) {
    if (input.do === 'set') return input.value;
    const reply = input.do === 'get' ? value : value !== null;
    if (output !== undefined && output !== reply) return undefined;
    return input.do === 'delete' ? null : value;
  },
  key: (value) => JSON.stringify(value),
  part: ({ key }) => key,
  isRead: ({ input, output }) =>
    input.do === 'get' || input.do === 'has' || (input.do === 'delete' && output === false),
  states: (calls) => [null, ...new Set(calls.flatMap(({ input }) => (input.do === 'set' ? [input.value] : [])))],
  text({ input, output }) {
    const what = `${input.do} ${input.key}`;
    return input.do === 'set' ? `${what} = ${input.value}` : `${what}: ${output === undefined ? '?' : String(output)}`;
  },
};

// A queue

export type QueueInput = { readonly do: 'push'; readonly value: string } | { readonly do: 'pop' };
/** 'ok' of a push; what a pop gave, null where the queue was empty. */
export type QueueOutput = string | null;

/** First in, first out. */
export const queue: Model<readonly string[], QueueInput, QueueOutput> = {
  name: 'queue',
  initial: [],
  step(values, input, output) {
    if (input.do === 'push') return [...values, input.value];
    const first = values[0] ?? null;
    return output === undefined || output === first ? values.slice(1) : undefined;
  },
  key: (values) => JSON.stringify(values),
  isRead: ({ input, output }: Call<QueueInput, QueueOutput>) => input.do === 'pop' && output === null,
  text: ({ input, output }) =>
    input.do === 'push' ? `push ${input.value}` : `pop: ${output === undefined ? '?' : (output ?? 'empty')}`,
};
