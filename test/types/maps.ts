/** Checked by `npm run types` alone: what must not compile, and what must. */
import type { StandardSchemaV1 } from '../../src/base/codec.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import type { Lease } from '../../src/primitives/lease.ts';

interface Item {
  left: number;
}

export async function typedByHand(shared: Lockstep, lease: Lease): Promise<void> {
  const stock = shared.map<Item>('stock');
  await stock.set('apple', { left: 3 }, { guard: lease });
  const item: Item | undefined = await stock.get('apple');
  // @ts-expect-error: there may be none
  const surely: Item = await stock.get('apple');
  // @ts-expect-error: not an item
  await stock.set('apple', 3);
  // @ts-expect-error: keys are text
  await stock.get(7);
  // @ts-expect-error: a lock's name is no lease
  await stock.set('apple', { left: 3 }, { guard: 'stocktaking' });
  const tried: Lease | undefined = await shared.lock('stocktaking').tryAcquire();
  // @ts-expect-error: there may be no lease to guard by
  await stock.set('apple', { left: 3 }, { guard: tried });
  for await (const [key, value] of stock) use<string, number>(key, value.left);
  for await (const key of stock.keys()) use<string, Item | undefined>(key, item ?? surely);
}

export async function typedBySchema(shared: Lockstep, schema: StandardSchemaV1<unknown, Item>): Promise<void> {
  const stock = shared.map('stock', { schema });
  const item: Item | undefined = await stock.get('apple');
  // @ts-expect-error: the schema knows its type
  const text: string | undefined = await stock.get('apple');
  // @ts-expect-error: not an item
  await stock.set('apple', { right: 3 });
  use(item, text);
}

export async function typedByCodec(shared: Lockstep): Promise<void> {
  const due = shared.map('due', {
    codec: { encode: (at: Date) => at.toISOString(), decode: (text) => new Date(text) },
  });
  const at: Date | undefined = await due.get('rent');
  // @ts-expect-error: not a date
  await due.set('rent', 'soon');
  use(at, due);
}

export async function untyped(shared: Lockstep): Promise<void> {
  const anything = shared.map('anything');
  await anything.set('a', [1, 'b', { c: null }]);
  // @ts-expect-error: unknown until somebody looks
  const n: number | undefined = await anything.get('a');
  use(n, anything);
}

export async function counted(shared: Lockstep): Promise<void> {
  const n: number = await shared.counter('visits').add();
  // @ts-expect-error: not a number
  await shared.counter('visits').add('1');
  use(n, n);
}

declare function use<A, B>(a: A, b: B): void;
