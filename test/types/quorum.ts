/** Checked by `npm run types` alone: what must not compile, and what must. */
import { type Lease, type Lockstep, open, type QuorumLease, type QuorumLockstep } from '../../src/index.ts';

const nodes: readonly string[] = ['redis://a', 'redis://b', 'redis://c'];

// @ts-expect-error: several servers have locks only
export type Counting = QuorumLockstep['counter'];
// @ts-expect-error: several servers have locks only
export type Together = QuorumLockstep['lockAll'];
// @ts-expect-error: servers that know nothing of each other can't number their grants
export type Fence = QuorumLease['fence'];

export async function opened(): Promise<void> {
  const one: Lockstep = await open('redis://a', { durability: 'full' });
  const three: QuorumLockstep = await open(nodes, { space: 'shop', label: 'me', maxTtl: '20s' });
  // @ts-expect-error: there is more to one server
  const other: Lockstep = three;
  // @ts-expect-error: one server has no maxTtl
  await open('redis://a', { maxTtl: '20s' });
  // @ts-expect-error: several servers are no directory
  await open(nodes, { durability: 'full' });
  use(one, other);
}

export async function withoutFence(one: Lockstep, three: QuorumLockstep): Promise<void> {
  const lease: QuorumLease = await three.lock('x', { ttl: '5s', maxHold: '1m' }).acquire({ timeout: '5s' });
  // @ts-expect-error: it guards nothing
  await one.map('stock').set('apple', 3, { guard: lease });
  // @ts-expect-error: it is no lease with a fence
  const fenced: Lease = lease;
  // @ts-expect-error: nothing is kept between two holders
  three.lock('x', { keep: '1s' });
  // @ts-expect-error: a search for deadlocks does not go through it
  await three.lock('x').acquire({ holding: fenced });
  const value: number = await three.lock('x').run(({ signal }) => (signal.aborted ? 0 : 1), { timeout: 0 });
  const tried: QuorumLease | undefined = await three.lock('x', { key: 'their_lock' }).tryAcquire();
  use(value, tried);
}

declare function use<A, B>(a: A, b: B): void;
