import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SetChanges } from '../../src/index.ts';
import { type Command, compare, dataProgram, Model, obeyAll, thingsOf, verbs } from './data-programs.ts';
import { eachEngine } from './each-engine.ts';
import { randomly } from './seed.ts';
import { openSession } from './sessions.ts';

describe('values, maps, sets, sorted sets, lists, counters and statistics', () => {
  eachEngine((_, openStore) => {
    it('do and say what plain JavaScript does, in any program of two sessions', { timeout: 300_000 }, async () => {
      const run = randomly(200);
      const store = await openStore();
      const sessions = [await openSession(store, 'a'), await openSession(store, 'b')] as const;
      let round = 0;
      await fc.assert(
        fc.asyncProperty(dataProgram, async (program) => {
          const name = `round ${++round}`;
          let model = new Model();
          for (const group of program) model = await obeyAll(sessions, name, model, group);
          await compare(thingsOf(sessions[0], name), model);
        }),
        run,
      );
    });

    it('are told to those who watch, so that they end with what is there', { timeout: 300_000 }, async () => {
      // A failure is only seen by waiting: a smaller one would be waited for too long.
      const run = { ...randomly(40), endOnFailure: true };
      const store = await openStore();
      const [writer, reader] = [await openSession(store, 'writer'), await openSession(store, 'reader')];
      let round = 0;
      await fc.assert(
        fc.asyncProperty(dataProgram, async (program) => {
          const name = `watched ${++round}`;
          const seen = thingsOf(reader, name);
          let model = new Model();
          const end = new AbortController();
          const late = AbortSignal.timeout(20_000);
          const signal = AbortSignal.any([end.signal, late]);
          const follow = new Following();
          const done = [
            follow.each(seen.value.watch({ signal }), (now) => (follow.value = now)),
            follow.each(seen.counter.watch({ signal }), (now) => (follow.counter = now)),
            follow.each(seen.list.watch({ signal }), (now) => (follow.list = now)),
            follow.each(seen.a.watch({ signal }), (changes) => follow.members(changes)),
            follow.each(seen.map.watch({ signal }), (changes) => follow.parts(follow.map, changes)),
            follow.each(seen.sorted.watch({ signal }), (changes) => follow.parts(follow.sorted, changes)),
          ];
          const seesAll = async (): Promise<void> => {
            const wanted = Following.of(model).text();
            while (!late.aborted && follow.text() !== wanted) await new Promise((next) => setTimeout(next, 1));
            expect(follow.text()).toBe(wanted);
          };
          for (const group of program) {
            model = await obeyAll([writer, writer], name, model, group);
            await seesAll();
          }
          // What is written last was never there before: who has seen that has seen all.
          await writer.counter(name).set((model.counter = 1_000));
          model = await obeyAll([writer, writer], name, model, { how: 'each', commands: lastly });
          await seesAll();
          end.abort();
          await Promise.all(done);
          expect(follow.text()).toBe(Following.of(model).text());
        }),
        run,
      );
    });
  });
});

it('programs use every verb', () => {
  const groups = fc.sample(dataProgram, { seed: 1, numRuns: 300 }).flat();
  const used = new Set(groups.flatMap(({ commands }) => commands.map((each) => each.do)));
  expect(Object.keys(verbs).filter((verb) => !used.has(verb))).toEqual([]);
});

const nothing = { keys: [], members: [], other: 0, ttl: false, limit: 0, index: 0, end: 0, by: 0, reverse: false };
const ending = { ...nothing, session: 0, whole: 'a', key: 'end', value: 'end', member: 'end', score: 9 } as const;
const lastly: readonly Command[] = [
  ...['put', 'add', 'setScore', 'push'].map((verb) => ({ ...ending, do: verb, cell: 'value' as const })),
  { ...ending, do: 'put', cell: 'map' },
];

/** What a reader knows who only watches. Members are there by their JSON. */
class Following {
  value: unknown;
  counter = 0;
  list: readonly unknown[] = [];
  readonly set: Set<string> = new Set();
  readonly map: Map<string, unknown> = new Map();
  readonly sorted: Map<string, unknown> = new Map();

  static of(model: Model): Following {
    const all = new Following();
    all.value = model.value.get('')?.value;
    all.counter = model.counter;
    all.list = model.list.map((text) => JSON.parse(text) as unknown);
    for (const member of model.a) all.set.add(member);
    for (const [key, kept] of model.map) all.map.set(JSON.stringify(key), kept.value);
    for (const [member, score] of model.sorted) all.sorted.set(member, score);
    return all;
  }

  /** Until it is aborted. */
  async each<T>(watch: AsyncIterable<T>, take: (next: T) => void): Promise<void> {
    try {
      for await (const next of watch) take(next);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
  }

  members({ added, deleted }: SetChanges<unknown>): void {
    for (const member of added) this.set.add(JSON.stringify(member));
    for (const member of deleted) this.set.delete(JSON.stringify(member));
  }

  parts(known: Map<string, unknown>, changes: Iterable<readonly [unknown, unknown]>): void {
    for (const [name, now] of changes) {
      if (now === undefined) known.delete(JSON.stringify(name));
      else known.set(JSON.stringify(name), now);
    }
  }

  text(): string {
    const { value, counter, list, set, map, sorted } = this;
    return JSON.stringify([value, counter, list, [...set].sort(), ordered(map), ordered(sorted)]);
  }
}

function ordered(map: ReadonlyMap<string, unknown>): [string, unknown][] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1));
}
