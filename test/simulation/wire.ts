import { LockstepError } from '../../src/base/errors.ts';
import type { Process, Thread } from './process.ts';
import { type Fault, peaceMs } from './scenario.ts';

/** A step that the store has just done. */
export interface AppliedStep {
  readonly name: string;
  readonly keys: unknown;
  readonly args: unknown;
  readonly reply: unknown;
}

type RequestFault = Extract<Fault, { what: 'request' }>;

/** How one thread of a process reaches one store. */
export interface WireOptions {
  readonly process: Process;
  readonly thread: Thread;
  readonly by: RequestFault['by'];
  /** Which of several stores. */
  readonly server?: number;
  /** How long a message takes one way, most of them less: µs. */
  readonly usualUs: number;
  /** Whether a step may be done again, or after its sender gave up, as an engine promises. */
  readonly mayRepeat: (name: string) => boolean;
  readonly mayComeLate: boolean;
  readonly faults: readonly Fault[];
  /** Hears of each step that was done. */
  readonly applied: (step: AppliedStep) => void;
}

/** How long a client waits for a reply that does not come, and how long a repeated or late request is away: ms. */
const silenceMs = 40;
export const laterMs = 120;

/** One way to a store, in order, on which things go wrong as the scenario says. */
export class Wire {
  /** Nothing gets through: `cut`, and both sides see it; `hang`, and nobody does. */
  down: 'cut' | 'hang' | undefined;
  readonly #options: WireOptions;
  readonly #fates = new Map<number, RequestFault['fate']>();
  /** Fails each request under way, as when the connection breaks. */
  readonly #underWay = new Set<() => void>();
  #sent = 0;
  #arrivesUs = 0;
  #repliesUs = 0;

  constructor(options: WireOptions) {
    this.#options = options;
    const { process, by, server } = options;
    for (const fault of options.faults) {
      if (fault.what !== 'request' || fault.process !== process.name) continue;
      if (fault.by === by && fault.server === server) this.#fates.set(fault.number, fault.fate);
    }
  }

  /** The connection breaks. */
  breakDown(how: 'cut' | 'hang'): void {
    this.down = how;
    for (const fail of this.#underWay) fail();
  }

  /** Sends a step to the store; what becomes of it and of its reply is told by the scenario. */
  send<R>(name: string, keys: unknown, args: unknown, step: () => Promise<R>): Promise<R> {
    const { process, thread, by, server, applied } = this.#options;
    const { world } = process;
    const number = this.#sent++;
    const fate = this.#fateOf(number, name);
    const label = `${process.name} ${by}${server ?? ''} ${number} ${name}`;
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const settle = (run: () => void): void => {
        isSettled = true;
        this.#underWay.delete(breaks);
        run();
      };
      const fail = (): void => {
        if (isSettled) return;
        world.note(() => `${label}: no reply`);
        settle(() => reject(unavailable(name)));
      };
      const breaks = (): void => void thread.after(100, 'breaks', fail);
      const answer = (run: () => void): void => {
        const isLost = fate === 'not applied' || fate === 'reply lost' || fate === 'applied later';
        if (isLost || this.down !== undefined) return;
        const backUs = world.nowUs + Math.round(this.delayUs(`${label} back`, fate === 'slow'));
        this.#repliesUs = Math.max(this.#repliesUs + 1, backUs);
        thread.after(this.#repliesUs - world.nowUs, `${name} back`, () => {
          if (!isSettled) settle(run);
        });
      };
      const apply = (): void => {
        step().then(
          (reply) => {
            world.note(() => `${label} ${text(args)} → ${text(reply)}`);
            applied({ name, keys, args, reply });
            answer(() => resolve(reply));
          },
          (error: Error) => answer(() => reject(error)),
        );
      };
      this.#underWay.add(breaks);
      if (this.down !== undefined || (fate !== undefined && fate !== 'slow' && fate !== 'applied twice')) {
        thread.after((this.down === 'cut' ? 1 : silenceMs) * 1_000, 'silence', fail);
      }
      if (this.down !== undefined) return;
      if (fate !== undefined) world.note(() => `${label} will be: ${fate}`);
      if (fate === 'not applied') return;
      if (fate === 'applied later') return void world.after(laterMs * 1_000, `${name} arrives late`, apply);
      // Never two at once: they arrive in the order in which they were sent.
      const thereUs = world.nowUs + Math.round(this.delayUs(label, fate === 'slow'));
      this.#arrivesUs = Math.max(this.#arrivesUs + 1, thereUs);
      world.after(this.#arrivesUs - world.nowUs, `${name} arrives`, apply);
      if (fate !== 'applied twice') return;
      this.#arrivesUs += 1 + Math.round(this.delayUs(`${label} again`, false));
      world.after(this.#arrivesUs - world.nowUs, `${name} arrives again`, apply);
    });
  }

  delayUs(place: string, isSlow: boolean): number {
    const { process, usualUs } = this.#options;
    const chance = process.chance(place);
    if (isSlow) return 30_000 + chance * 300_000;
    return chance > 0.98 ? usualUs * 20 : 5 + chance * usualUs;
  }

  /** What happens twice or late must be harmless for locks and sessions; for data an engine promises that it does not. */
  #fateOf(number: number, name: string): RequestFault['fate'] | undefined {
    const { process, mayRepeat, mayComeLate } = this.#options;
    const fate = this.#fates.get(number);
    if (fate === undefined || process.world.nowUs > peaceMs * 1_000) return undefined;
    const isTwice = fate === 'applied twice' && mayRepeat(name);
    // Nothing is on its way to a store in a directory when its caller has given up.
    const isLate = fate === 'applied later' && mayRepeat(name) && mayComeLate;
    const isOther = fate !== 'applied twice' && fate !== 'applied later';
    const real = isTwice || isLate || isOther ? fate : 'reply lost';
    process.world.met(`request ${real}`);
    return real;
  }
}

function unavailable(name: string): LockstepError {
  return new LockstepError('UNAVAILABLE', `${name}: the simulated store did not answer`, {
    details: { applied: 'unknown' },
  });
}

function text(value: unknown): string {
  return JSON.stringify(value);
}
