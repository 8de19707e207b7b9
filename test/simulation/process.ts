import type { Clock } from '../../src/base/clock.ts';
import type { ProcessPlan } from './scenario.ts';
import type { Happening, World } from './world.ts';

/** When the world began: µs since 1970. */
const beginUs = 1_700_000_000_000_000;

/** What the wall clocks of one machine are off by: µs. */
export interface WallClock {
  shiftUs: number;
}

export function wallUs(world: World, wall: WallClock, rate: number): number {
  return beginUs + Math.floor(world.nowUs * rate) + wall.shiftUs;
}

/** One thread: what happens to it while it is stopped happens when it goes on. */
export class Thread {
  readonly clock: Clock;
  readonly #process: Process;
  readonly #name: string;
  #stops = 0;
  #late: (() => void)[] = [];
  #randoms = 0;

  constructor(process: Process, name: string) {
    this.#process = process;
    this.#name = name;
    this.clock = {
      wallUs: () => process.wallUs(),
      monotonicMs: () => process.monotonicMs(),
      timer: (ms, callback) => this.#timer(ms, callback),
      random: () => process.chance(`${name} random ${this.#randoms++}`),
    };
  }

  get running(): boolean {
    return this.#stops === 0 && !this.#process.dead;
  }

  /** Lets the thread do something after `us`, when it runs by then. */
  after(us: number, what: string, run: () => void): Happening {
    return this.#process.world.after(us, `${this.#name} ${what}`, () => this.#do(run));
  }

  stop(): void {
    this.#stops += 1;
  }

  /** Goes on, with what happened meanwhile, in order. */
  resume(): void {
    this.#stops -= 1;
    if (!this.running) return;
    for (const run of this.#late.splice(0)) this.after(0, 'late', run);
  }

  #do(run: () => void): void {
    if (this.#process.dead) return;
    if (this.#stops > 0) this.#late.push(run);
    else run();
  }

  #timer(ms: number, callback: () => void): { cancel(): void } {
    if (!(ms >= 0)) throw new Error(`a timer of ${ms} ms`);
    const dueMs = this.clock.monotonicMs() + ms;
    let cancelled = false;
    let next: Happening;
    const wait = (leftMs: number): void => {
      // Node's timers come late, by a fraction of a ms, and never early.
      next = this.after(Math.ceil(leftMs * 1_000) + 50, 'timer', () => {
        if (cancelled) return;
        const left = dueMs - this.clock.monotonicMs();
        if (left > 0.001) wait(left);
        else callback();
      });
    };
    wait(ms);
    return {
      cancel: () => {
        cancelled = true;
        next.cancel();
      },
    };
  }
}

/** A process with its two threads: the program's event loop, and the keeper that renews leases. */
export class Process {
  readonly name: string;
  readonly world: World;
  readonly chance: (place: string) => number;
  readonly main: Thread;
  readonly keeper: Thread;
  readonly wall: WallClock;
  dead = false;
  readonly #rate: number;
  /** How long the monotonic clock stood still, and since when it does: µs. */
  #sleptUs = 0;
  #asleepSinceUs: number | undefined;

  constructor(plan: ProcessPlan, world: World, wall: WallClock, chance: (place: string) => number) {
    this.name = plan.name;
    this.world = world;
    this.wall = wall;
    this.#rate = plan.rate;
    this.chance = (place) => chance(`${plan.name} ${place}`);
    this.main = new Thread(this, `${plan.name} main`);
    this.keeper = new Thread(this, `${plan.name} keeper`);
  }

  wallUs(): number {
    return wallUs(this.world, this.wall, this.#rate);
  }

  monotonicMs(): number {
    const asleepUs = this.#asleepSinceUs === undefined ? 0 : this.world.nowUs - this.#asleepSinceUs;
    return 1_000 + ((this.world.nowUs - this.#sleptUs - asleepUs) * this.#rate) / 1_000;
  }

  /** Stops both threads; the returned function lets them go on. */
  stop(sleeps: boolean): () => void {
    this.main.stop();
    this.keeper.stop();
    const isFirst = sleeps && this.#asleepSinceUs === undefined;
    if (isFirst) this.#asleepSinceUs = this.world.nowUs;
    return () => {
      if (isFirst) {
        this.#sleptUs += this.world.nowUs - (this.#asleepSinceUs ?? 0);
        this.#asleepSinceUs = undefined;
      }
      this.main.resume();
      this.keeper.resume();
    };
  }
}
