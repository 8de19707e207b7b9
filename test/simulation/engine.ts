import { LockstepError } from '../../src/base/errors.ts';
import type { Doorbell, Engine, Inbox } from '../../src/engines/engine.ts';
import { openKeepers } from '../../src/engines/keeper/keepers.ts';
import { renewBy } from '../../src/engines/keeper/renew.ts';
import type { MemoryEngine } from '../../src/engines/memory.ts';
import type { Process } from './process.ts';
import { type Fault, peaceMs, type Scenario } from './scenario.ts';
import { type AppliedStep, laterMs, Wire } from './wire.ts';

type MailFate = Extract<Fault, { what: 'mail' }>['fate'];

/** The memory engine as one process sees it over a network where things go wrong. */
export class RemoteEngine {
  readonly process: Process;
  /** Whether the store believes that the session has an inbox. */
  listens = false;
  /** Whether the doorbell keeps the process alive. */
  holdsProcess = false;
  readonly #store: MemoryEngine;
  readonly #scenario: Scenario;
  readonly #main: Wire;
  readonly #keeper: Wire;
  readonly #fates = new Map<number, MailFate>();
  #mails = 0;
  #inbox: { session: string; inbox: Inbox } | undefined;
  #bell: Doorbell | undefined;
  #isClosed = false;

  /** `applied`: hears of each step that the store did for this process. */
  constructor(process: Process, store: MemoryEngine, scenario: Scenario, applied: (step: AppliedStep) => void) {
    this.process = process;
    this.#store = store;
    this.#scenario = scenario;
    const { faults, kind } = scenario;
    const wire = {
      process,
      faults,
      applied,
      usualUs: kind === 'machine' ? 40 : 800,
      mayRepeat: (name: string) => ['lock', 'session', 'transaction', 'cells'].includes(name.split('.', 1)[0]!),
      mayComeLate: kind === 'server',
    };
    this.#main = new Wire({ ...wire, by: 'main', thread: process.main });
    this.#keeper = new Wire({ ...wire, by: 'keeper', thread: process.keeper });
    for (const fault of faults) {
      if (fault.what === 'mail' && fault.process === process.name) this.#fates.set(fault.number, fault.fate);
    }
  }

  /** What the library is given. */
  view(): Engine {
    const store = this.#store;
    const isMachine = this.#scenario.kind === 'machine';
    const keepers = openKeepers({
      clock: this.process.keeper.clock,
      renew: renewBy((renew, keys, args) =>
        this.#send(this.#keeper, renew.name, keys, args, () => store.runBatch(renew, keys, args)),
      ),
    });
    return {
      ...store,
      name: `store of ${this.process.name}`,
      clock: this.process.main.clock,
      sharesClock: isMachine,
      losesReplies: true,
      run: (operation, keys, args) =>
        this.#send(this.#main, operation.name, keys, args, () => store.run(operation, keys, args)),
      runBatch: (operation, keys, args) =>
        this.#send(this.#main, operation.name, keys, args, () => store.runBatch(operation, keys, args)),
      scan: (key, cursor, count, kind) =>
        this.#send(this.#main, 'scan', key, '', () => store.scan(key, cursor, count, kind)),
      scanKeys: (prefix, cursor, count) =>
        this.#send(this.#main, 'scanKeys', prefix, '', () => store.scanKeys(prefix, cursor, count)),
      listen: (session, inbox) => this.#listen(session, inbox),
      watch: isMachine ? (session, gone) => this.#watch(session, gone) : () => () => {},
      alive: (session) => (isMachine ? store.alive(session) : Promise.resolve(true)),
      keeper: (options) =>
        keepers.keeper({ ...options, lost: (lost) => this.process.main.after(5, 'told', () => options.lost(lost)) }),
      close: async () => {
        this.#isClosed = true;
        await keepers.close();
      },
    };
  }

  /** The process died: the store sees it after a while. */
  crash(seenMs: number): void {
    this.process.dead = true;
    this.process.world.after(seenMs * 1_000, `${this.process.name} is missed`, () => this.#hangUp());
  }

  /** The connections break, or nothing comes through any more. The returned function mends them. */
  breakDown(how: 'cut' | 'hang'): () => void {
    const wires = [this.#main, this.#keeper];
    if (this.#main.down !== undefined) return () => {};
    if (how === 'cut') this.#hangUp();
    for (const wire of wires) wire.breakDown(how);
    return () => {
      for (const wire of wires) wire.down = undefined;
      if (this.process.dead || this.#isClosed || this.#inbox === undefined) return;
      const { session, inbox } = this.#inbox;
      if (how === 'hang') return void this.process.main.after(500, 'resync', () => inbox.resync());
      this.process.main.after(500, 'resync', () => {
        this.#ring(session).then(() => inbox.resync(), failed);
      });
    };
  }

  #hangUp(): void {
    this.listens = false;
    this.#bell?.close().catch(failed);
    this.#bell = undefined;
  }

  #send<R>(by: Wire, name: string, keys: unknown, args: unknown, step: () => Promise<R>): Promise<R> {
    if (this.#isClosed) return Promise.reject(new LockstepError('CLOSED', 'the simulated store was closed'));
    return by.send(name, keys, args, step);
  }

  async #listen(session: string, inbox: Inbox): Promise<Doorbell> {
    this.#inbox = { session, inbox };
    await this.#ring(session);
    return {
      ref: () => (this.holdsProcess = true),
      unref: () => (this.holdsProcess = false),
      close: async () => this.#hangUp(),
    };
  }

  async #ring(session: string): Promise<void> {
    this.listens = true;
    this.#bell = await this.#store.listen(session, {
      message: (mail) => this.#mail(mail, () => this.#inbox?.inbox.message(mail)),
      undelivered: (to, mail) => this.#mail(mail, () => this.#inbox?.inbox.undelivered(to, mail)),
      resync: () => {},
    });
  }

  #mail(mail: string, read: () => void): void {
    const { world } = this.process;
    const number = this.#mails++;
    const isPeace = world.nowUs > peaceMs * 1_000;
    const fate = isPeace ? undefined : this.#fates.get(number);
    const isLost = this.#main.down !== undefined || fate === 'lost';
    world.note(() => `mail ${number} to ${this.process.name}: ${mail}${isLost ? ' (lost)' : ''}`);
    if (fate !== undefined) world.met(`mail ${fate}`);
    if (isLost) return;
    const lateUs = fate === 'late' ? laterMs * 4_000 * this.process.chance(`mail ${number} late`) : 0;
    this.process.main.after(lateUs + this.#main.delayUs(`mail ${number}`, false), 'mail', read);
    if (fate === 'twice') this.process.main.after(this.#main.delayUs(`mail ${number} again`, true), 'mail again', read);
  }

  #watch(session: string, gone: () => void): () => void {
    let isStopped = false;
    const stop = this.#store.watch(session, () => {
      this.process.main.after(20, 'gone', () => {
        if (!isStopped) gone();
      });
    });
    return () => {
      isStopped = true;
      stop();
    };
  }
}

function failed(error: unknown): void {
  throw error;
}
