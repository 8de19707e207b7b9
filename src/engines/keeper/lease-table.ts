/**
 * The leases that one thread holds, in memory that it shares with the thread that renews them: so that a lease is
 * renewed although the event loop of its holder does not turn, and keeping and dropping one costs no message.
 *
 * A table is a row of chunks, each a fixed number of slots. A slot has a state: its generation, and a phase.
 *
 *   free ──keep──▶ kept ──drop──▶ free (next generation)
 *                   │ ▲
 *              enter│ │leave
 *                   ▼ │
 *                  busy ──drop──▶ doomed ──leave──▶ free (next generation)
 *
 * - The holder fills a slot only while it is free; the renewer reads and writes it only while it is busy, and enters
 *   with the generation that it saw: so nobody sees half a lease, and the reply of a late renewal finds its lease or none.
 * - Neither side ever waits for the other.
 * - States change, and the words of `control` are read and written, by Atomics: in one order that both sides see. All else
 *   is written between two changes of the state. The search for what is due reads plainly, as a call of Atomics for each
 *   slot costs tens of ns: what it finds it enters, and what it reads too early the holder rings for.
 * - Milliseconds in 32 bits wrap around.
 */
import { LockstepError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Instant } from '../../base/validity.ts';

/** What the renewer is told about a lease. */
export interface Lease {
  readonly key: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly until: Instant;
  /** The end of the whole hold, renewed or not. */
  readonly end: Instant;
  /** How long renewal goes on while the holder's event loop does not turn: ms. */
  readonly stallMs: number;
  /** When to renew: monotonic ms. */
  readonly dueMs: number;
  /** A number of the holder's. */
  readonly keeper: number;
}

/** The holder's side of the table. */
export class LeaseTable {
  readonly control: Int32Array = new Int32Array(new SharedArrayBuffer(words * 4));
  readonly #chunks: Chunk[] = [];
  readonly #grown: (chunk: SharedArrayBuffer) => void;
  readonly #free: number[] = [];
  /** Slots that were dropped while the renewer was in them. */
  readonly #doomed: number[] = [];

  /** `grown` hands a new chunk to the renewer, before a lease is put there. */
  constructor(grown: (chunk: SharedArrayBuffer) => void) {
    this.#grown = grown;
  }

  /** The memory of the leases, for a renewer that begins. */
  get memory(): SharedArrayBuffer[] {
    return this.#chunks.map((chunk) => chunk.memory);
  }

  /** Gives the handle of the lease: above 0, never given again (not in the next 500 million leases of one slot). */
  keep(lease: Lease): number {
    checkBytes('key', lease.key, limits.leaseKeyBytesMax);
    checkBytes('owner', lease.owner, limits.leaseOwnerBytesMax);
    const slot = this.#free.pop() ?? this.#reclaim() ?? this.#grow();
    const chunk = this.#chunks[slot >>> slotBits]!;
    const i = slot & slotMask;
    const generation = chunk.state[i]! >>> phaseBits;
    chunk.fill(i, lease);
    chunk.kept[0] = chunk.kept[0]! + 1;
    Atomics.store(chunk.state, i, (generation << phaseBits) | phase.kept);
    this.#ring(toWord(lease.dueMs));
    return generation * limits.leaseSlotsMax + slot;
  }

  /** False if it was dropped before. */
  drop(handle: number): boolean {
    const at = this.#find(handle);
    if (at === undefined) return false;
    const { chunk, i, generation } = at;
    const kept = (generation << phaseBits) | phase.kept;
    const busy = (generation << phaseBits) | phase.busy;
    chunk.kept[0] = chunk.kept[0]! - 1;
    // The renewer enters and leaves meanwhile, but doesn't do so for ever: it leaves a lease for a third of its length.
    for (;;) {
      if (Atomics.compareExchange(chunk.state, i, kept, freeAfter(generation)) === kept) {
        this.#free.push(handle % limits.leaseSlotsMax);
        return true;
      }
      if (Atomics.compareExchange(chunk.state, i, busy, (generation << phaseBits) | phase.doomed) === busy) {
        this.#doomed.push(handle % limits.leaseSlotsMax);
        return true;
      }
    }
  }

  /** The number of the keeper of a lease; undefined if the lease was dropped. */
  keeperOf(handle: number): number | undefined {
    const at = this.#find(handle);
    return at?.chunk.keeper[at.i];
  }

  validUntil(handle: number): Instant | undefined {
    const at = this.#find(handle);
    return at?.chunk.until(at.i);
  }

  /** Drops all leases of a keeper. */
  dropAll(keeper: number): void {
    for (const [c, chunk] of this.#chunks.entries()) {
      for (let i = 0; i < slotsPerChunk; i++) {
        const state = Atomics.load(chunk.state, i);
        if (isHeld(state) && chunk.keeper[i] === keeper) {
          this.drop((state >>> phaseBits) * limits.leaseSlotsMax + c * slotsPerChunk + i);
        }
      }
    }
  }

  /** After the renewer died: nobody is in any slot. */
  recover(): void {
    for (const { state } of this.#chunks) {
      for (let i = 0; i < slotsPerChunk; i++) {
        const was = Atomics.load(state, i);
        if ((was & phaseMask) === phase.busy) Atomics.store(state, i, was - phase.busy + phase.kept);
        if ((was & phaseMask) === phase.doomed) Atomics.store(state, i, freeAfter(was >>> phaseBits));
      }
    }
    Atomics.store(this.control, word.asleep, 0);
    Atomics.store(this.control, word.errand, errand.none);
  }

  /** Says that the holder's event loop turns. */
  beat(nowMs: number): void {
    Atomics.store(this.control, word.beat, toWord(nowMs));
  }

  /** Sends the renewer home. */
  close(): void {
    Atomics.store(this.control, word.closed, 1);
    Atomics.add(this.control, word.bell, 1);
    Atomics.notify(this.control, word.bell);
  }

  /** Asks the renewer for its errand, once for all calls until it is done. */
  errand(): void {
    if (Atomics.compareExchange(this.control, word.errand, errand.none, errand.asked) !== errand.none) return;
    Atomics.add(this.control, word.bell, 1);
    Atomics.notify(this.control, word.bell);
  }

  /** Whether the renewer, in its errand, asks the holder to stay out of the store. */
  get keepsOut(): boolean {
    return Atomics.load(this.control, word.errand) === errand.alone;
  }

  /** Wakes the renewer if it would sleep past `due`. One that is awake looks at the bell before it sleeps. */
  #ring(due: number): void {
    const asleep = Atomics.load(this.control, word.asleep) === 1;
    if (asleep && wordsApart(due, Atomics.load(this.control, word.wakeAt)) >= 0) return;
    Atomics.store(this.control, word.wanted, due);
    Atomics.add(this.control, word.bell, 1);
    if (asleep) Atomics.notify(this.control, word.bell);
  }

  #find(handle: number): { chunk: Chunk; i: number; generation: number } | undefined {
    const slot = handle % limits.leaseSlotsMax;
    const chunk = this.#chunks[slot >>> slotBits];
    if (chunk === undefined) return undefined;
    const i = slot & slotMask;
    const generation = Math.floor(handle / limits.leaseSlotsMax);
    const state = chunk.state[i]!; // only this thread ends a generation that is held
    return isHeld(state) && state >>> phaseBits === generation ? { chunk, i, generation } : undefined;
  }

  #reclaim(): number | undefined {
    for (let n = this.#doomed.length; n > 0; n--) {
      const slot = this.#doomed.shift()!;
      const state = Atomics.load(this.#chunks[slot >>> slotBits]!.state, slot & slotMask);
      if ((state & phaseMask) === phase.free) return slot;
      this.#doomed.push(slot);
    }
    return undefined;
  }

  #grow(): number {
    const first = this.#chunks.length * slotsPerChunk;
    if (first >= limits.leaseSlotsMax) {
      throw new LockstepError(
        'UNAVAILABLE',
        `This thread holds ${first} leases: no more fit. Release some, or hold one lock for many things.`,
      );
    }
    const memory = new SharedArrayBuffer(chunkBytes);
    const chunk = new Chunk(memory);
    chunk.state.fill(freeAfter(0));
    this.#chunks.push(chunk);
    this.#grown(memory);
    for (let slot = first + slotsPerChunk - 1; slot > first; slot--) this.#free.push(slot);
    return first;
  }
}

/** A lease as the renewer takes it out of the table. */
export interface TakenLease extends Omit<Lease, 'dueMs' | 'keeper'> {
  readonly handle: number;
}

/** The renewer's side of the table. */
export class LeaseView {
  readonly #control: Int32Array;
  readonly #chunks: Chunk[] = [];
  #from = 0;

  constructor(control: Int32Array, chunks: readonly SharedArrayBuffer[]) {
    this.#control = control;
    for (const chunk of chunks) this.add(chunk);
  }

  add(chunk: SharedArrayBuffer): void {
    this.#chunks.push(new Chunk(chunk));
  }

  /** Whether the holder asked for the errand. */
  get errandIsAsked(): boolean {
    return Atomics.load(this.#control, word.errand) === errand.asked;
  }

  /** In the errand: the holder is asked to stay out of the store until it is over. */
  keepOut(): void {
    Atomics.store(this.#control, word.errand, errand.alone);
  }

  errandIsOver(): void {
    Atomics.store(this.#control, word.errand, errand.none);
  }

  get closed(): boolean {
    return Atomics.load(this.#control, word.closed) === 1;
  }

  /** How long ago the holder's event loop turned: ms. */
  stalledMs(nowMs: number): number {
    return wordsApart(toWord(nowMs), Atomics.load(this.#control, word.beat));
  }

  /**
   * At most `max` leases that are due, and in how many ms the next one will be. A lease counts as due a little early, so
   * that those which are due at about the same time are renewed at once. Begins after where it ended the last time.
   */
  takeDue(nowMs: number, max: number): { due: TakenLease[]; nextMs: number } {
    const due: TakenLease[] = [];
    const now = toWord(nowMs);
    let nextMs = idleMs;
    const from = this.#from;
    for (let n = 0; n < this.#chunks.length; n++) {
      const c = (from + n) % this.#chunks.length;
      const chunk = this.#chunks[c]!;
      if (chunk.kept[0] === 0) continue;
      this.#from = c;
      const { state: states, due: dues, ttl: ttls } = chunk;
      for (let i = 0; i < slotsPerChunk; i++) {
        const state = states[i]!;
        if ((state & phaseMask) !== phase.kept) continue;
        const leftMs = wordsApart(dues[i]!, now);
        if (leftMs > ttls[i]! / earliness) nextMs = Math.min(nextMs, leftMs);
        else if (due.length === max) return { due, nextMs: 0 };
        else this.#take(due, chunk, c * slotsPerChunk + i, state);
      }
    }
    return { due, nextMs };
  }

  /** Renewed: unless the lease was dropped, or was over before it could be renewed. */
  confirm(handle: number, until: Instant, dueMs: number): void {
    this.#within(handle, (chunk, i) => {
      chunk.setUntil(i, until);
      chunk.due[i] = toWord(dueMs);
    });
  }

  postpone(handle: number, dueMs: number): void {
    this.#within(handle, (chunk, i) => {
      chunk.due[i] = toWord(dueMs);
    });
  }

  /** Will not be renewed again. False if the lease was dropped meanwhile, or another renewer ended it. */
  end(handle: number, nowMs: number): boolean {
    let isFirst = true;
    const isHeldStill = this.#within(handle, (chunk, i) => {
      isFirst = wordsApart(chunk.due[i]!, toWord(nowMs)) < 0.9 * idleMs; // no lease is due that late
      chunk.due[i] = toWord(nowMs + idleMs);
    });
    return isHeldStill && isFirst;
  }

  /** To be read before the table is searched: `sleep` then misses nothing. */
  awake(): number {
    Atomics.store(this.#control, word.asleep, 0);
    return Atomics.load(this.#control, word.bell);
  }

  /**
   * Waits until a lease is due, or the holder rings. A lease that was wanted and dropped again still counts: else each
   * lease of a holder that takes and gives back one after the other would wake this thread.
   */
  sleep(bell: number, nowMs: number, nextMs: number): void {
    Atomics.wait(this.#control, word.bell, bell, this.#fallAsleep(nowMs, nextMs));
  }

  /** The same, while the event loop of this thread turns. */
  async doze(bell: number, nowMs: number, nextMs: number): Promise<void> {
    await (Atomics as unknown as AsyncAtomics).waitAsync(
      this.#control,
      word.bell,
      bell,
      this.#fallAsleep(nowMs, nextMs),
    ).value;
  }

  /** For how long: ms. */
  #fallAsleep(nowMs: number, nextMs: number): number {
    const now = toWord(nowMs);
    const wantedMs = wordsApart(Atomics.load(this.#control, word.wanted), now);
    const ms = wantedMs > 0 ? Math.min(wantedMs, nextMs) : nextMs;
    Atomics.store(this.#control, word.wakeAt, (now + ms) | 0);
    Atomics.store(this.#control, word.asleep, 1);
    return ms;
  }

  #take(due: TakenLease[], chunk: Chunk, slot: number, kept: number): void {
    const i = slot & slotMask;
    if (!enter(chunk, i, kept)) return;
    due.push({ handle: (kept >>> phaseBits) * limits.leaseSlotsMax + slot, ...chunk.read(i) });
    leave(chunk, i, kept);
  }

  #within(handle: number, change: (chunk: Chunk, i: number) => void): boolean {
    const slot = handle % limits.leaseSlotsMax;
    const chunk = this.#chunks[slot >>> slotBits]!;
    const i = slot & slotMask;
    const kept = (Math.floor(handle / limits.leaseSlotsMax) << phaseBits) | phase.kept;
    if (!enter(chunk, i, kept)) return false;
    change(chunk, i);
    return leave(chunk, i, kept);
  }
}

/** Every Node that runs this has it; the types of this language level do not know of it. */
interface AsyncAtomics {
  waitAsync(words: Int32Array, word: number, value: number, ms: number): { readonly value: Promise<string> | string };
}

function enter(chunk: Chunk, i: number, kept: number): boolean {
  return Atomics.compareExchange(chunk.state, i, kept, kept - phase.kept + phase.busy) === kept;
}

/** False if the holder dropped the lease meanwhile. */
function leave(chunk: Chunk, i: number, kept: number): boolean {
  const busy = kept - phase.kept + phase.busy;
  if (Atomics.compareExchange(chunk.state, i, busy, kept) === busy) return true;
  Atomics.store(chunk.state, i, freeAfter(kept >>> phaseBits));
  return false;
}

const phase = { free: 0, kept: 1, busy: 2, doomed: 3 } as const;
const phaseBits = 2;
const phaseMask = 3;

function isHeld(state: number): boolean {
  return (state & phaseMask) === phase.kept || (state & phaseMask) === phase.busy;
}

/** Generations wrap around before they meet the sign, and leave out 0. */
function freeAfter(generation: number): number {
  return (generation === 0x1fff_ffff ? 1 : generation + 1) << phaseBits;
}

/** The words of `control`. */
const word = {
  /** Counts what the renewer must look at before it sleeps. */
  bell: 0,
  /** 1: the renewer sleeps, or is about to, until `wakeAt`. */
  asleep: 1,
  wakeAt: 2,
  /** When the lease is due for which the bell was rung last. */
  wanted: 3,
  /** When the holder's event loop turned last. */
  beat: 4,
  closed: 5,
  errand: 6,
} as const;
const words = 7;

const errand = { none: 0, asked: 1, alone: 2 } as const;

/** The longest sleep, and the due time of what is never due: ms (12 days). */
const idleMs = 2 ** 30;
/** A lease counts as due this part of its length early. Below the pause before another try. */
const earliness = 24;

/** Monotonic ms as a word of 32 bits. */
function toWord(ms: number): number {
  return Math.floor(ms) | 0;
}

/** ms from `b` to `a`, which are less than 24 days apart. */
function wordsApart(a: number, b: number): number {
  return (a - b) | 0;
}

const slotBits = 10;
const slotsPerChunk = 2 ** slotBits;
const slotMask = slotsPerChunk - 1;

const textBytes = limits.leaseKeyBytesMax + limits.leaseOwnerBytesMax;
const chunkBytes = 8 + slotsPerChunk * (7 * 8 + 7 * 4 + textBytes);

/** One piece of shared memory, an array for each field. */
class Chunk {
  readonly memory: SharedArrayBuffer;
  /** How many slots are not free. */
  readonly kept: Int32Array;
  readonly state: Int32Array;
  readonly due: Int32Array;
  readonly ttl: Int32Array;
  readonly keeper: Int32Array;
  /** Monotonic and wall ms, twice: the renewer writes the pair that the holder does not read. */
  readonly #until: Float64Array;
  readonly #untilPair: Int32Array;
  readonly #end: Float64Array;
  readonly #stall: Float64Array;
  readonly #keyBytes: Int32Array;
  readonly #ownerBytes: Int32Array;
  readonly #text: Buffer;
  /** Of the holder: the key that each slot had last. Messages of one queue have the same. */
  readonly #keys: string[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    let at = 0;
    const floats = (perSlot: number): Float64Array => {
      const array = new Float64Array(memory, at, slotsPerChunk * perSlot);
      at += array.byteLength;
      return array;
    };
    const integers = (length: number): Int32Array => {
      const array = new Int32Array(memory, at, length);
      at += array.byteLength;
      return array;
    };
    this.#until = floats(4);
    this.#end = floats(2);
    this.#stall = floats(1);
    this.kept = integers(2);
    this.state = integers(slotsPerChunk);
    this.due = integers(slotsPerChunk);
    this.ttl = integers(slotsPerChunk);
    this.keeper = integers(slotsPerChunk);
    this.#untilPair = integers(slotsPerChunk);
    this.#keyBytes = integers(slotsPerChunk);
    this.#ownerBytes = integers(slotsPerChunk);
    this.#text = Buffer.from(memory, at);
  }

  fill(i: number, lease: Lease): void {
    const keyAt = i * textBytes;
    if (this.#keys[i] !== lease.key) {
      this.#keyBytes[i] = this.#text.write(lease.key, keyAt, limits.leaseKeyBytesMax);
      this.#keys[i] = lease.key;
    }
    this.#ownerBytes[i] = this.#text.write(lease.owner, keyAt + limits.leaseKeyBytesMax, limits.leaseOwnerBytesMax);
    this.#end[i * 2] = lease.end.monotonicMs;
    this.#end[i * 2 + 1] = lease.end.wallMs;
    this.#stall[i] = lease.stallMs;
    this.keeper[i] = lease.keeper;
    this.#untilPair[i] = 0;
    this.#until[i * 4] = lease.until.monotonicMs;
    this.#until[i * 4 + 1] = lease.until.wallMs;
    this.ttl[i] = lease.ttlMs;
    this.due[i] = toWord(lease.dueMs);
  }

  read(i: number): Omit<TakenLease, 'handle'> {
    const keyAt = i * textBytes;
    const ownerAt = keyAt + limits.leaseKeyBytesMax;
    return {
      key: this.#text.toString('utf8', keyAt, keyAt + this.#keyBytes[i]!),
      owner: this.#text.toString('utf8', ownerAt, ownerAt + this.#ownerBytes[i]!),
      ttlMs: this.ttl[i]!,
      until: this.until(i),
      end: { monotonicMs: this.#end[i * 2]!, wallMs: this.#end[i * 2 + 1]! },
      stallMs: this.#stall[i]!,
    };
  }

  until(i: number): Instant {
    const at = i * 4 + Atomics.load(this.#untilPair, i) * 2;
    return { monotonicMs: this.#until[at]!, wallMs: this.#until[at + 1]! };
  }

  setUntil(i: number, until: Instant): void {
    const pair = 1 - Atomics.load(this.#untilPair, i);
    this.#until[i * 4 + pair * 2] = until.monotonicMs;
    this.#until[i * 4 + pair * 2 + 1] = until.wallMs;
    Atomics.store(this.#untilPair, i, pair);
  }
}

function checkBytes(what: string, text: string, bytesMax: number): void {
  // Three bytes a code unit at most: only a long text has to be measured.
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return;
  throw new LockstepError(
    'INVALID_ARGUMENT',
    `The ${what} ${text.slice(0, 40)}… of a lease has more than ${bytesMax} bytes: use a shorter name.`,
  );
}
