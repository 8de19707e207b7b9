/** Commands of random programs on sets, sorted sets and lists, and what they come to: see programs.ts. */
import fc from 'fast-check';
import type { ListNames, SpaceKeys } from '../../src/base/names.ts';
import * as collection from '../../src/operations/collection.ts';
import * as list from '../../src/operations/list.ts';
import * as set from '../../src/operations/set.ts';
import * as sorted from '../../src/operations/sorted.ts';
import type { BatchOperation, Operation, Reply } from '../../src/operations/tx.ts';

/** `keys` are names that `CollectionMeaning` knows, `args` as the operation has them, but for owners and tokens. */
export interface CollectionCommand {
  on: 'collection';
  do: string;
  place: number;
  lock: number;
  who: 'owner' | 'former' | 'nobody' | 'unguarded';
  member: string;
  more: string[];
  score: number;
  other: number;
  index: number;
  to: number;
  flag: number;
  how: string;
  when: string;
}

/** What a program knows beside the command. */
export interface Around {
  readonly space: SpaceKeys;
  /** The key of the guard and the owner that the command means. */
  readonly guard: string;
  readonly owner: string;
  /** The session in the command's place. */
  readonly session: string;
}

/** Members of sets are few, so that the state can be read by asking for each. */
const member = fc.constantFrom('x', 'é', '😀', '');
const score = fc.constantFrom(0, 1, 1, 2, 0.5, 0.1, -0.1, 1e300, -1e-7, 1.7976931348623157e308);

interface CollectionStep {
  readonly name: string;
  on(store: Store): Promise<Reply>;
}

interface Store {
  run<Keys, Args, R extends Reply>(operation: Operation<Keys, Args, R>, keys: Keys, args: Args): Promise<R>;
  runBatch<R extends Reply>(operation: BatchOperation<R>, keys: readonly string[], args: readonly string[]): Promise<R>;
}

export function collectionStep(command: CollectionCommand, around: Around): CollectionStep {
  return doings[command.do]!(command, around);
}

/** All keys that the commands write, with their types. */
export function collectionKeys(space: SpaceKeys): [key: string, type: string][] {
  const { list: key, waiting, taken, grants, returned, watchers } = space.list('l');
  return [
    [space.set('a').set, 'set'],
    [space.set('a').watchers, 'zset'],
    [space.set('b').set, 'set'],
    [space.set('one').set, 'set'],
    [space.sorted('z').sorted, 'zset'],
    [space.sorted('z').watchers, 'zset'],
    [key, 'list'],
    [waiting, 'zset'],
    [taken, 'hash'],
    [grants, 'zset'],
    [returned, 'zset'],
    [watchers, 'zset'],
  ];
}

function single<Keys, Args, R extends Reply>(
  operation: Operation<Keys, Args, R>,
  keys: Keys,
  args: Args,
): CollectionStep {
  return { name: operation.name, on: (store) => store.run(operation, keys, args) };
}

function batch(operation: BatchOperation<Reply>, keys: readonly string[], args: readonly string[]): CollectionStep {
  return { name: operation.name, on: (store) => store.runBatch(operation, keys, args) };
}

type Doing = (command: CollectionCommand, around: Around) => CollectionStep;

const places = ({ place }: CollectionCommand): 'a' | 'b' => (place === 0 ? 'b' : 'a');
const setKeys = (c: CollectionCommand, { space, guard }: Around): string[] => {
  const { set: key, watchers } = space.set(places(c));
  return [key, guard, watchers];
};

const onSets: Record<string, Doing> = {
  setAdd: (c, around) => batch(set.addAll, setKeys(c, around), [around.owner, c.member, ...c.more]),
  setRemove: (c, around) => batch(set.removeAll, setKeys(c, around), [around.owner, c.member, ...c.more]),
  addOne: (_c, { space, guard, owner }) =>
    batch(set.addAll, [space.set('one').set, guard, space.set('one').watchers], [owner, 'x']),
  // Which member comes is only known where there is one.
  popOne: (_c, { space, guard, owner }) => single(set.pop, { ...space.set('one'), guard }, { owner }),
  setClear: (c, { space, guard, owner }) => single(set.clear, { ...space.set(places(c)), guard }, { owner }),
  setHas: (c, { space }) => single(set.has, space.set(places(c)), { member: c.member }),
  setHasMany: (c, { space }) => batch(set.hasMany, [space.set(places(c)).set], [c.member, ...c.more]),
  setSize: (c, { space }) => single(set.size, space.set(places(c)), {}),
  combine: (c, { space }) => batch(set.combine, [space.set('a').set, space.set('b').set], [c.how, '5']),
  measure: (c, { space }) => batch(set.measure, [space.set('b').set, space.set('a').set], [c.how, '5']),
  store: (c, around) =>
    batch(
      set.store,
      [...setKeys(c, around), around.space.set('a').set, around.space.set('b').set],
      [around.owner, c.how, '5'],
    ),
};

const sortedKeys = ({ space, guard }: Around): string[] => [
  space.sorted('z').sorted,
  guard,
  space.sorted('z').watchers,
];

const onSorted: Record<string, Doing> = {
  sortedSet: (c, around) =>
    batch(sorted.setAll, sortedKeys(around), [around.owner, c.when, String(c.score), c.member, '1', 'é']),
  sortedRemove: (c, around) => batch(sorted.removeAll, sortedKeys(around), [around.owner, c.member]),
  sortedAdd: (c, { space, guard, owner }) =>
    single(sorted.add, { ...space.sorted('z'), guard }, { by: c.score, member: c.member, owner }),
  sortedPop: (c, { space, guard, owner }) =>
    single(sorted.pop, { ...space.sorted('z'), guard }, { reverse: c.flag, count: Math.max(0, c.index), owner }),
  sortedClear: (_c, { space, guard, owner }) => single(sorted.clear, { ...space.sorted('z'), guard }, { owner }),
  score: (c, { space }) => single(sorted.score, space.sorted('z'), { member: c.member }),
  scores: (c, { space }) => batch(sorted.scores, [space.sorted('z').sorted], [c.member, ...c.more]),
  rank: (c, { space }) => single(sorted.rank, space.sorted('z'), { member: c.member, reverse: c.flag }),
  sortedSize: (_c, { space }) => single(sorted.size, space.sorted('z'), {}),
  count: (c, { space }) => single(sorted.count, space.sorted('z'), { from: c.score, to: c.other }),
  range: (c, { space }) =>
    single(sorted.range, space.sorted('z'), { start: c.index, stop: c.to, reverse: c.flag, max: 3 }),
  rangeByScore: (c, { space }) =>
    single(sorted.rangeByScore, space.sorted('z'), {
      from: Math.min(c.score, c.other),
      to: Math.max(c.score, c.other),
      reverse: c.flag,
      limit: Math.max(-1, c.index),
      max: 3,
    }),
  page: (c, { space }) =>
    batch(sorted.page, [space.sorted('z').sorted], ['2', ...(c.flag === 0 ? [] : [c.member, String(c.score)])]),
  expire: (c, { space, guard, owner }) =>
    single(
      collection.expire,
      { whole: space.sorted('z').sorted, guard, watchers: space.sorted('z').watchers },
      { ms: c.flag * 50, owner },
    ),
  life: (_c, { space }) => single(collection.life, { whole: space.sorted('z').sorted }, {}),
};

const listKeys = ({ space, guard }: Around): ListNames & { guard: string } => ({ ...space.list('l'), guard });
const tokenOf = (c: CollectionCommand, { session }: Around): string =>
  `${session}:${c.member === 'x' ? 1 : 2}:0:${c.flag === 0 ? 'front' : 'back'}`;
const side = (c: CollectionCommand): string => (c.flag === 0 ? 'front' : 'back');

const onLists: Record<string, Doing> = {
  push: (c, around) => {
    const { list: key, watchers, waiting, taken, grants, returned } = around.space.list('l');
    const keys = [key, watchers, waiting, taken, grants, returned, around.guard];
    return batch(list.push, keys, [around.owner, side(c), c.member, ...c.more]);
  },
  pop: (c, around) =>
    single(list.pop, listKeys(around), { side: side(c), count: Math.max(0, c.index), owner: around.owner }),
  setAt: (c, around) => single(list.set, listKeys(around), { index: c.index, element: c.member, owner: around.owner }),
  trim: (c, around) => single(list.trim, listKeys(around), { start: c.index, stop: c.to, owner: around.owner }),
  length: (_c, around) => single(list.length, listKeys(around), {}),
  slice: (c, around) => single(list.slice, listKeys(around), { start: c.index, stop: c.to, max: 3 }),
  take: (c, around) => single(list.take, listKeys(around), { token: tokenOf(c, around), wait: c.index > -3 ? 1 : 0 }),
  takeToo: (c, around) => single(list.take, listKeys(around), { token: tokenOf(c, around), wait: 1 }),
  confirm: (c, around) => single(list.confirm, listKeys(around), { token: tokenOf(c, around) }),
  leave: (c, around) =>
    single(list.leave, listKeys(around), {
      token: tokenOf(c, around),
      confirming: c.index > 2 ? 1 : 0,
      element: c.member,
    }),
};

const doings: Record<string, Doing> = { ...onSets, ...onSorted, ...onLists };

export const collectionCommand: fc.Arbitrary<CollectionCommand> = fc.record(
  {
    on: fc.constant('collection' as const),
    do: fc.constantFrom(...Object.keys(doings)),
    place: fc.nat(2),
    lock: fc.constantFrom(0, 0, 1),
    who: fc.constantFrom('unguarded' as const, 'unguarded' as const, 'owner' as const, 'former' as const),
    member,
    more: fc.array(member, { maxLength: 3 }),
    score,
    other: fc.oneof(score, fc.constantFrom(-Infinity, Infinity)),
    index: fc.integer({ min: -4, max: 4 }),
    to: fc.integer({ min: -4, max: 4 }),
    flag: fc.constantFrom(0, 1),
    how: fc.constantFrom('union', 'intersection', 'difference', 'exclusive'),
    when: fc.constantFrom('always', 'absent', 'greater', 'less'),
  },
  { noNullPrototype: true },
);
