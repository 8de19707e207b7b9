import { limits } from '../../src/base/limits.ts';
import type { MemoryEngine } from '../../src/engines/memory.ts';
import { type Entry, isExpired } from '../../src/engines/memory/tx.ts';
import type { HeldLease } from '../../src/primitives/lease.ts';
import type { RemoteEngine } from './engine.ts';
import type { Process } from './process.ts';
import type { AppliedStep } from './wire.ts';

/** What must never happen. */
export type Invariant =
  | 'valid leases are owners'
  | 'one valid lease'
  | 'losses are told'
  | 'fences grow'
  | 'guarded writes'
  | 'first come first served'
  | 'nobody is forgotten'
  | 'nothing is left'
  | 'exact'
  | 'expected errors'
  | 'no crash';

/** The first thing that went wrong in a run. */
export class Violation extends Error {
  readonly invariant: Invariant;

  constructor(invariant: Invariant, text: string) {
    super(`${invariant}: ${text}`);
    this.invariant = invariant;
  }
}

interface HeldBy {
  readonly process: Process;
  readonly lock: string;
  readonly lease: HeldLease;
  /** Since when the lease is over, and its holder could have been told: µs. */
  overSinceUs: number | undefined;
}

/** How late a holder may hear that its lease is over, beside the third of it after which it looks at a clock that was set: ms. */
const tellMs = 30;

/** A lock as the store has it, and who came for it in which order. */
interface LockState {
  readonly key: string;
  owner: string;
  /** Tokens that wait, by arrival at the store. */
  line: string[];
  /** The highest fence of a lease that was valid when it was given. */
  fence: number;
}

/**
 * Watches a run from outside: what leases say of themselves, what the store holds by its public layout (docs/keys.md),
 * what clients asked. It knows nothing of how operations do what they do.
 */
export class Witness {
  readonly #store: MemoryEngine;
  readonly #remotes: ReadonlyMap<string, RemoteEngine>;
  readonly #locks: ReadonlyMap<string, LockState>;
  readonly #held = new Set<HeldBy>();
  /** Tasks of one process that wait for one lock without a bound, in the order of their calls. */
  readonly #waiting = new Map<string, object[]>();
  #lastFence = 0;
  /** What was seen that must not be. */
  violation: Violation | undefined;

  constructor(
    store: MemoryEngine,
    space: string,
    locks: readonly string[],
    remotes: ReadonlyMap<string, RemoteEngine>,
  ) {
    this.#store = store;
    this.#remotes = remotes;
    const states = locks.map((name): [string, LockState] => {
      return [name, { key: `{${space}}:lock:${name}`, owner: '', line: [], fence: 0 }];
    });
    this.#locks = new Map(states);
  }

  fail(invariant: Invariant, text: string): void {
    this.violation ??= new Violation(invariant, text);
  }

  /** The store did a step. */
  applied(process: Process, step: AppliedStep): void {
    const { name, reply } = step;
    for (const [lock, state] of this.#locks) {
      const owner = this.#peek(state.key);
      if (owner !== '' && tokenOf(owner) !== tokenOf(state.owner)) this.#granted(lock, state, owner);
      state.owner = owner;
      this.#line(state, step);
    }
    const { guard = '' } = step.keys as { guard?: string };
    const { owner = '' } = step.args as { owner?: string };
    if (name === 'map.set' && owner !== '' && reply === 1 && this.#peek(guard) !== owner) {
      this.fail('guarded writes', `${process.name} wrote under ${owner}, when ${this.#peek(guard)} was the owner`);
    }
  }

  /** Somebody came to wait for the lock, or went. */
  #line(state: LockState, { name, keys, args }: AppliedStep): void {
    if ((keys as { owner?: string }).owner !== state.key) return;
    const { token = '', wait } = args as { token?: string; wait?: number };
    const hasPlace = state.line.includes(token) || tokenOf(state.owner) === token;
    if (name === 'lock.acquire' && wait === 1 && !hasPlace && this.#isThere(token)) state.line.push(token);
    if (name === 'lock.leave') state.line = state.line.filter((other) => other !== token);
  }

  /** A task begins to wait; the returned function ends that. `bounded`: it may give up by itself. */
  waits(process: Process, lock: string, bounded: boolean): (isGranted: boolean) => void {
    const place = `${process.name} ${lock}`;
    const line = this.#waiting.get(place) ?? [];
    this.#waiting.set(place, line);
    const me = {};
    if (!bounded) line.push(me);
    return (isGranted) => {
      const ahead = line.indexOf(me);
      if (ahead >= 0) line.splice(ahead, 1);
      if (isGranted && ahead > 0) this.fail('first come first served', `${place}: a task overtook ${ahead} others`);
    };
  }

  /** A task got a lease. */
  acquired(process: Process, lock: string, lease: HeldLease): void {
    const state = this.#locks.get(lock)!;
    this.#held.add({ process, lock, lease, overSinceUs: undefined });
    if (lease.remaining() <= 0) return;
    if (lease.fence <= state.fence) {
      this.fail('fences grow', `${process.name} got lock ${lock} with fence ${lease.fence} after ${state.fence}`);
    }
    state.fence = lease.fence;
  }

  /** The store's clock was set forward so far that nobody seems to have asked for a line in a long time. */
  forgetLines(): void {
    for (const state of this.#locks.values()) state.line = [];
  }

  /** Looks at everything, after anything happened. */
  look(): void {
    const valid = new Map<string, string>();
    for (const held of this.#held) {
      const { process, lock, lease } = held;
      if (!lease.active || process.dead) this.#held.delete(held);
      else if (lease.remaining() <= 0) this.#checkTold(held);
      else {
        held.overSinceUs = undefined;
        const other = valid.get(lock);
        if (other !== undefined) this.fail('one valid lease', `${other} and ${process.name} hold lock ${lock}`);
        valid.set(lock, process.name);
        this.#checkOwner(held);
      }
    }
  }

  #checkTold(held: HeldBy): void {
    const { process, lock, lease, overSinceUs } = held;
    const { nowUs } = process.world;
    held.overSinceUs = process.main.running ? (overSinceUs ?? nowUs) : undefined;
    if (nowUs - (held.overSinceUs ?? nowUs) < (lease.ttlMs / 3 + tellMs) * 1_000) return;
    this.fail(
      'losses are told',
      `${process.name} still works under lock ${lock} (fence ${lease.fence}), which is over`,
    );
  }

  #checkOwner({ process, lock, lease }: HeldBy): void {
    const owner = this.#peek(this.#locks.get(lock)!.key);
    const [session, , , fence] = owner.split(':');
    const past = lease.fence - Number(fence);
    if (session === process.name && past >= 0 && past < limits.handOversInARow) return;
    const says = `${process.name} says that it holds lock ${lock} (fence ${lease.fence}) for ${lease.remaining()} ms`;
    this.fail('valid leases are owners', `${says}, the owner is ${owner === '' ? 'nobody' : owner}`);
  }

  /** Somebody new owns a lock: a higher fence than ever, and nobody who can hear of it was before. */
  #granted(lock: string, state: LockState, owner: string): void {
    const [, , , fence = ''] = owner.split(':');
    if (Number(fence) <= this.#lastFence)
      this.fail('fences grow', `owner ${owner} came after fence ${this.#lastFence}`);
    this.#lastFence = Number(fence);
    const place = state.line.indexOf(tokenOf(owner));
    const before = place === -1 ? state.line : state.line.slice(0, place);
    const overtaken = before.find((token) => this.#isThere(token));
    if (overtaken !== undefined) {
      this.fail('first come first served', `lock ${lock} went to ${owner}, though ${overtaken} came first`);
    }
    state.line = state.line.filter((token) => !before.includes(token) && token !== tokenOf(owner));
  }

  /** Whether the session of a token can be told that it owns the lock. */
  #isThere(token: string): boolean {
    return this.#remotes.get(token.split(':')[0] ?? '')?.listens === true;
  }

  /** What the store holds, without a step of it. */
  #peek(key: string): string {
    const entry = (this.#store.store as ReadonlyMap<string, Entry>).get(key);
    return entry?.kind === 'string' && !isExpired(entry, this.#store.clock.wallUs()) ? entry.value : '';
  }
}

function tokenOf(owner: string): string {
  return owner.split(':', 3).join(':');
}
