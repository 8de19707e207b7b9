/** A list and those who wait to take from it, beside plain JavaScript: who gets what, who is woken, what comes back. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import * as list from '../../src/operations/list.ts';
import * as transaction from '../../src/operations/transaction.ts';
import * as watch from '../../src/operations/watch.ts';
import { randomly } from '../contract/seed.ts';
import { handClock, memorySubject } from './subjects.ts';
import { stepOf } from './transactions.ts';

type Side = 'front' | 'back';

type Command =
  | { do: 'push' | 'pushInTransaction'; side: Side; count: number }
  | { do: 'pop'; side: Side; count: number }
  | { do: 'take' | 'confirm' | 'leave' | 'giveUp'; token: string; wait: number }
  | { do: 'pass'; ms: number }
  | { do: 'die' | 'return'; session: string };

const side = fc.constantFrom<Side>('front', 'back');
const session = fc.constantFrom('a', 'b', 'c');
const token = fc
  .tuple(session, fc.nat(2), fc.constantFrom<Side>('front', 'front', 'back'))
  .map(([its, ask, end]) => `${its}:${ask}:0:${end}`);
const count = fc.integer({ min: 1, max: 3 });
const wait = fc.constantFrom(1, 1, 1, 0);
const about = (verb: 'take' | 'confirm' | 'leave' | 'giveUp'): fc.Arbitrary<Command> =>
  fc.record({ do: fc.constant(verb), token, wait });

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('push' as const, 'push' as const, 'pushInTransaction' as const),
      side,
      count,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pop' as const), side, count }) },
  { weight: 6, arbitrary: about('take') },
  { weight: 3, arbitrary: about('confirm') },
  { weight: 2, arbitrary: about('leave') },
  { weight: 1, arbitrary: about('giveUp') },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 500, 999, 1_000, 2_500) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), session }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('return' as const), session }) },
);

/** Where everything is. */
class Model {
  list: string[] = [];
  /** Who waits, in order. */
  line: string[] = [];
  readonly taken: Map<string, { element: string; sinceUs: number }> = new Map();
  readonly confirmed: Map<string, string> = new Map();
  /** Whose element went back. */
  readonly returned: Set<string> = new Set();
  readonly alive: Set<string> = new Set(['a', 'b', 'c']);
  readonly mail: string[] = [];
  hasChanged = false;
  nowUs = 0;

  add(end: Side, elements: readonly string[]): void {
    for (const element of elements) if (end === 'back') this.list.push(element);
    for (const element of elements) if (end === 'front') this.list.unshift(element);
    this.hasChanged = true;
  }

  remove(end: Side): string | undefined {
    if (this.list.length > 0) this.hasChanged = true;
    return end === 'back' ? this.list.pop() : this.list.shift();
  }

  hand(to: string): void {
    const element = this.remove(sideOf(to));
    if (element !== undefined) this.taken.set(to, { element, sinceUs: this.nowUs });
  }

  /** Everybody who waits, as far as there are elements. */
  serve(asker = ''): void {
    while (this.line.length > 0 && this.list.length > 0) {
      const next = this.line.shift()!;
      this.hand(next);
      if (next !== asker && !this.tell(next)) this.bringBack(next);
    }
  }

  tell(to: string): boolean {
    const isAlive = this.alive.has(to.split(':')[0]!);
    if (isAlive) this.mail.push(`granted ${to} ${this.taken.get(to)!.element}`);
    return isAlive;
  }

  bringBack(from: string, element = this.taken.get(from)!.element): void {
    this.taken.delete(from);
    this.returned.add(from);
    this.add(sideOf(from), [element]);
  }

  /** Who was handed an element a second ago, or told of it, is told again, or is dead. */
  recover(): void {
    const late = [...this.taken].filter(([, { sinceUs }]) => this.nowUs - sinceUs >= 1_000_000);
    late.sort(([one, { sinceUs: first }], [other, { sinceUs: second }]) => first - second || (one < other ? -1 : 1));
    for (const [from, kept] of late) {
      if (this.tell(from)) kept.sinceUs = this.nowUs;
      else this.bringBack(from);
    }
  }

  take(asker: string, waits: number): (string | number)[] {
    this.recover();
    if (!this.taken.has(asker)) {
      this.returned.delete(asker);
      const mustWait = this.list.length === 0 || this.line.length > 0;
      if (waits === 1 && mustWait && !this.line.includes(asker)) this.line.push(asker);
      this.serve(asker);
      if (!this.line.includes(asker) && !this.taken.has(asker)) this.hand(asker);
    }
    const handed = this.taken.get(asker);
    if (handed !== undefined) return ['taken', handed.element];
    return waits === 0 ? ['empty'] : ['waiting', this.line[0] === asker ? 1 : 0];
  }

  confirm(asker: string): number {
    const handed = this.taken.get(asker);
    if (handed === undefined) return this.returned.has(asker) ? 0 : 1;
    this.taken.delete(asker);
    this.confirmed.set(asker, handed.element);
    this.serve();
    return 1;
  }

  /** `confirming`: what it may have confirmed. */
  leave(asker: string, confirming: string | undefined): number {
    if (this.taken.has(asker)) this.bringBack(asker);
    else if (this.line.includes(asker)) {
      this.line = this.line.filter((other) => other !== asker);
      return 1;
    } else if (confirming !== undefined && !this.returned.has(asker)) this.bringBack(asker, confirming);
    else return 0;
    this.serve();
    return 1;
  }
}

function sideOf(taker: string): Side {
  return taker.endsWith(':back') ? 'back' : 'front';
}

const space = keysOf('test');
const keys = space.list('l');
const guarded = { ...keys, guard: space.lock('guard').owner };
/** As `list.push` takes them. */
const places = list.pop.keys.map((name) => guarded[name]);

test('takers get elements in their order, and what was handed to the dead comes back', async () => {
  const found = { taken: 0, back: 0 };
  const run = randomly(500);
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 60, size: 'max' }), async (commands) => {
      const clock = handClock();
      const store = memorySubject(clock);
      const model = new Model();
      const mail: string[] = [];
      const listen = (its: string): Promise<void> =>
        store.connect(its, (text) => mail.push(text.replace(/^(granted \S+) 0 .*\n/, '$1 ')));
      for (const its of model.alive) await listen(its);
      let isTold = false;
      await store.connect('watcher', () => (isTold = true));
      let made = 0;

      const newElements = (of: number): string[] => Array.from({ length: of }, () => `element ${++made}`);

      const push = async (end: Side, elements: readonly string[]): Promise<[unknown, unknown]> => {
        const said = await store.runBatch(list.push, places, ['', end, ...elements]);
        model.recover();
        model.add(end, elements);
        const length = model.list.length;
        model.serve();
        return [said, length];
      };

      const pushInTransaction = async (end: Side, elements: readonly string[]): Promise<[unknown, unknown]> => {
        const writes = elements.map((element) => ({ verb: 'list.push', parameters: [end, element] }));
        const step = stepOf(space, () => 'a', '', [], [{ ticket: undefined, reads: [], writes }]);
        const said = await store.runBatch(transaction.commit, step.keys, step.args);
        for (const element of elements) {
          model.add(end, [element]);
          model.serve();
        }
        return [said, ['now', 'ok']];
      };

      const answer = async (its: Command): Promise<[unknown, unknown]> => {
        switch (its.do) {
          case 'push':
            return push(its.side, newElements(its.count));
          case 'pushInTransaction':
            return pushInTransaction(its.side, newElements(its.count));
          case 'pop': {
            const said = await store.run(list.pop, guarded, { side: its.side, count: its.count, owner: '' });
            model.recover();
            const popped = Array.from({ length: its.count }, () => model.remove(its.side));
            return [said, ['ok', ...popped.filter((element) => element !== undefined)]];
          }
          case 'take':
            return [
              await store.run(list.take, keys, { token: its.token, wait: its.wait }),
              model.take(its.token, its.wait),
            ];
          case 'confirm':
            return [await store.run(list.confirm, keys, { token: its.token }), model.confirm(its.token)];
          case 'leave':
          case 'giveUp': {
            const element = its.do === 'giveUp' ? model.confirmed.get(its.token) : undefined;
            model.confirmed.delete(its.token);
            const ask = { token: its.token, confirming: element === undefined ? 0 : 1, element: element ?? '' };
            return [await store.run(list.leave, keys, ask), model.leave(its.token, element)];
          }
          case 'die':
            model.alive.delete(its.session);
            await store.disconnect(its.session);
            return [0, 0];
          case 'return':
            if (!model.alive.has(its.session)) await listen(its.session);
            model.alive.add(its.session);
            return [0, 0];
          case 'pass':
            clock.nowUs += its.ms * 1_000;
            return [0, 0];
        }
      };

      for (const each of commands) {
        clock.nowUs += 1;
        model.nowUs = clock.nowUs;
        model.hasChanged = isTold = false;
        await store.run(watch.look, keys, { session: 'watcher', seen: 0, ms: 300_000 });
        const [said, expected] = await answer(each);
        expect(said).toEqual(expected);
        expect(mail.splice(0)).toEqual(model.mail.splice(0));
        expect(isTold).toBe(model.hasChanged);
        const slice = await store.run(list.slice, keys, { start: 0, stop: 1_000, max: 1_000 });
        expect(slice).toEqual(['ok', ...model.list]);
      }
      found.taken += model.confirmed.size;
      found.back += model.returned.size;
      await store.close();
    }),
    run,
  );
  expect(Math.min(found.taken, found.back)).toBeGreaterThan(run.numRuns / 20);
});
