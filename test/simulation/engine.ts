import { LockstepError } from '../../src/base/errors.ts';
import type { Doorbell, Engine, Inbox } from '../../src/engines/engine.ts';
import { openKeepers } from '../../src/engines/keeper/keepers.ts';
import { renewBy } from '../../src/engines/keeper/renew.ts';
import type { MemoryEngine } from '../../src/engines/memory.ts';
import type { Process, Thread } from './process.ts';
import { type Fault, peaceMs, type Scenario } from './scenario.ts';

/** What the network hears: a step that the store has just done. */
export type Applied = (process: Process, step: AppliedStep) => void;

export interface AppliedStep {
  readonly name: string;
  readonly keys: unknown;
  readonly args: unknown;
  readonly reply: unknown;
}

type RequestFate = Extract<Fault, { what: 'request' }>['fate'];
type MailFate = Extract<Fault, { what: 'mail' }>['fate'];

/** One way to the store, in order. */
interface Connection {
  readonly by: 'main' | 'keeper';
  readonly thread: Thread;
  sent: number;
  arrivesUs: number;
  repliesUs: number;
  /** Fails each request under way, as when the connection breaks. */
  readonly underWay: Set<() => void>;
}

/** How long a client waits for a reply that does not come, and how long a repeated or late request is away: ms. */
const silenceMs = 40;
const laterMs = 120;

/** The memory engine as one process sees it over a network where things go wrong. */
export class RemoteEngine {
  readonly process: Process;
  /** Whether the store believes that the session has an inbox. */
  listens = false;
  /** Whether the doorbell keeps the process alive. */
  holdsProcess = false;
  readonly #store: MemoryEngine;
  readonly #scenario: Scenario;
  readonly #applied: Applied;
  readonly #main: Connection;
  readonly #keeper: Connection;
  readonly #fates = new Map<string, RequestFate | MailFate>();
  #mails = 0;
  #inbox: { session: string; inbox: Inbox } | undefined;
  #bell: Doorbell | undefined;
  #isDown: 'cut' | 'hang' | undefined;
  #isClosed = false;

  constructor(process: Process, store: MemoryEngine, scenario: Scenario, applied: Applied) {
    this.process = process;
    this.#store = store;
    this.#scenario = scenario;
    this.#applied = applied;
    this.#main = connection('main', process.main);
    this.#keeper = connection('keeper', process.keeper);
    for (const fault of scenario.faults) {
      if (fault.what === 'request' && fault.process === process.name) {
        this.#fates.set(`${fault.by} ${fault.number}`, fault.fate);
      }
      if (fault.what === 'mail' && fault.process === process.name) this.#fates.set(`mail ${fault.number}`, fault.fate);
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
    if (this.#isDown !== undefined) return () => {};
    this.#isDown = how;
    if (how === 'cut') this.#hangUp();
    for (const { underWay } of [this.#main, this.#keeper]) for (const fail of underWay) fail();
    return () => {
      this.#isDown = undefined;
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

  /** Sends a step to the store; what becomes of it and of its reply is told by the scenario. */
  #send<R>(by: Connection, name: string, keys: unknown, args: unknown, step: () => Promise<R>): Promise<R> {
    const { world } = this.process;
    const number = by.sent++;
    const fate = this.#fateOf(`${by.by} ${number}`, name);
    const label = `${this.process.name} ${by.by} ${number} ${name}`;
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new LockstepError('CLOSED', 'the simulated store was closed'));
      let isSettled = false;
      const settle = (run: () => void): void => {
        isSettled = true;
        by.underWay.delete(breaks);
        run();
      };
      const fail = (): void => {
        if (isSettled) return;
        world.note(() => `${label}: no reply`);
        settle(() => reject(unavailable(name)));
      };
      const breaks = (): void => void by.thread.after(100, 'breaks', fail);
      const answer = (run: () => void): void => {
        if (fate === 'not applied' || fate === 'reply lost' || fate === 'applied later' || this.#isDown !== undefined)
          return;
        by.repliesUs = Math.max(by.repliesUs, world.nowUs + this.#delayUs(`${label} back`, fate));
        by.thread.after(by.repliesUs - world.nowUs, `${name} back`, () => {
          if (!isSettled) settle(run);
        });
      };
      const apply = (): void => {
        step().then(
          (reply) => {
            world.note(() => `${label} ${text(args)} → ${text(reply)}`);
            this.#applied(this.process, { name, keys, args, reply });
            answer(() => resolve(reply));
          },
          (error: Error) => answer(() => reject(error)),
        );
      };
      by.underWay.add(breaks);
      if (this.#isDown !== undefined || (fate !== undefined && fate !== 'slow' && fate !== 'applied twice')) {
        by.thread.after((this.#isDown === 'cut' ? 1 : silenceMs) * 1_000, 'silence', fail);
      }
      if (this.#isDown !== undefined) return;
      if (fate !== undefined) world.note(() => `${label} will be: ${fate}`);
      if (fate === 'not applied') return;
      if (fate === 'applied later') return void world.after(laterMs * 1_000, `${name} arrives late`, apply);
      by.arrivesUs = Math.max(by.arrivesUs, world.nowUs + this.#delayUs(label, fate));
      world.after(by.arrivesUs - world.nowUs, `${name} arrives`, apply);
      if (fate !== 'applied twice') return;
      by.arrivesUs += this.#delayUs(`${label} again`, undefined);
      world.after(by.arrivesUs - world.nowUs, `${name} arrives again`, apply);
    });
  }

  /** What happens twice or late must be harmless for locks and sessions; for data an engine promises that it does not. */
  #fateOf(place: string, name: string): RequestFate | undefined {
    if (this.process.world.nowUs > peaceMs * 1_000) return undefined;
    const fate = this.#fates.get(place) as RequestFate | undefined;
    const isRepeatable = ['lock', 'session', 'transaction', 'cells'].includes(name.split('.', 1)[0]!);
    if (fate === 'applied twice') return isRepeatable ? fate : 'reply lost';
    // Nothing is on its way to a store in a directory when its caller has given up.
    if (fate === 'applied later') return isRepeatable && this.#scenario.kind === 'server' ? fate : 'reply lost';
    return fate;
  }

  #delayUs(place: string, fate: RequestFate | undefined): number {
    if (fate === 'slow') return 30_000 + this.process.chance(place) * 300_000;
    const usual = this.#scenario.kind === 'machine' ? 40 : 800;
    const chance = this.process.chance(place);
    return chance > 0.98 ? usual * 20 : 5 + chance * usual;
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
    const fate = isPeace ? undefined : (this.#fates.get(`mail ${number}`) as MailFate | undefined);
    const isLost = this.#isDown !== undefined || fate === 'lost';
    world.note(() => `mail ${number} to ${this.process.name}: ${mail}${isLost ? ' (lost)' : ''}`);
    if (isLost) return;
    const lateUs = fate === 'late' ? laterMs * 4_000 * this.process.chance(`mail ${number} late`) : 0;
    this.process.main.after(lateUs + this.#delayUs(`mail ${number}`, undefined), 'mail', read);
    if (fate === 'twice') this.process.main.after(this.#delayUs(`mail ${number} again`, 'slow'), 'mail again', read);
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

function connection(by: 'main' | 'keeper', thread: Thread): Connection {
  return { by, thread, sent: 0, arrivesUs: 0, repliesUs: 0, underWay: new Set() };
}

function unavailable(name: string): LockstepError {
  return new LockstepError('UNAVAILABLE', `${name}: the simulated store did not answer`, {
    details: { applied: 'unknown' },
  });
}

function failed(error: unknown): void {
  throw error;
}

function text(value: unknown): string {
  return JSON.stringify(value);
}
