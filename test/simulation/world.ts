import type { Chance } from './chance.ts';

/** Something that will happen. */
export interface Happening {
  cancel(): void;
}

interface Event {
  readonly atUs: number;
  /** Which of two events of one moment comes first. */
  readonly tie: number;
  readonly what: string;
  run: (() => void) | undefined;
}

/** Virtual time, and everything that will happen in it, in an order that only the seed decides. */
export class World {
  /** Since the beginning: µs. */
  nowUs = 0;
  /** A number that all events up to now give, in their order. */
  fingerprint = 0;
  /** How often each kind of fault came about. */
  readonly faults: Map<string, number> = new Map();
  readonly #chance: Chance;
  readonly #log: ((line: string) => void) | undefined;
  readonly #heap: Event[] = [];
  #events = 0;

  constructor(chance: Chance, log?: (line: string) => void) {
    this.#chance = chance;
    this.#log = log;
  }

  /** What will happen until then, as far as is known now. */
  ahead(untilUs: number): string[] {
    return this.#heap.filter((event) => event.run !== undefined && event.atUs <= untilUs).map((event) => event.what);
  }

  after(us: number, what: string, run: () => void): Happening {
    const number = this.#events++;
    const atUs = this.nowUs + Math.max(0, Math.round(us));
    const event: Event = { atUs, tie: this.#chance(`tie ${number}`), what, run };
    this.#push(event);
    return { cancel: () => (event.run = undefined) };
  }

  /** A fault came about. */
  met(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }

  /** For people who look at one run. */
  note(text: () => string): void {
    this.#log?.(`${(this.nowUs / 1_000).toFixed(3).padStart(10)} ms  ${text()}`);
  }

  /** Lets the next thing happen, at this time at the latest. False if there is none. */
  step(untilUs: number): boolean {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atUs > untilUs) return false;
      this.#pop();
      if (event.run === undefined) continue;
      this.nowUs = event.atUs;
      this.fingerprint = (Math.imul(this.fingerprint ^ event.atUs, 16_777_619) ^ hashOf(event.what)) | 0;
      event.run();
      return true;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.tie < b.tie);
}

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}
