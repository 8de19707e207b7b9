import { systemClock } from '../../src/base/clock.ts';
import { isLockstepError } from '../../src/base/errors.ts';
import type { Engine, ServerRun, Voter, Voters } from '../../src/engines/engine.ts';
import { openKeepers } from '../../src/engines/keeper/keepers.ts';
import { memoryEngine, type MemoryEngine } from '../../src/engines/memory.ts';
import { renewByMajority } from '../../src/engines/redis/quorum-renewal.ts';
import { createQuorumLockstep, type QuorumLockstep } from '../../src/primitives/quorum.ts';
import type { HeldQuorumLease, QuorumLease } from '../../src/primitives/quorum-lease.ts';
import { QuorumSession } from '../../src/session/quorum-session.ts';
import { type Process, wallUs } from './process.ts';
import { servers, ttlMsMax } from './quorum-plan.ts';
import type { Fault, ProcessPlan, Scenario, Task } from './scenario.ts';
import { Aborted } from './things.ts';
import { Wire } from './wire.ts';
import type { Invariant } from './witness.ts';
import type { World } from './world.ts';

/** One of several independent servers: it forgets all when it starts anew. */
export class QuorumServer {
  readonly number: number;
  readonly #world: World;
  #runs = 0;
  #sinceUs = -3_600_000_000;
  #store: MemoryEngine;

  constructor(number: number, world: World) {
    this.number = number;
    this.#world = world;
    this.#store = this.#empty();
  }

  get store(): MemoryEngine {
    return this.#store;
  }

  get run(): string {
    return `${this.number} ${this.#runs}`;
  }

  /** As INFO tells it: whole seconds. */
  get upSeconds(): number {
    return Math.floor((this.#world.nowUs - this.#sinceUs) / 1_000_000);
  }

  restart(): void {
    this.#runs += 1;
    this.#sinceUs = this.#world.nowUs;
    this.#store = this.#empty();
  }

  #empty(): MemoryEngine {
    const world = this.#world;
    return memoryEngine({ clock: { ...systemClock, wallUs: () => wallUs(world, { shiftUs: 0 }, 1) } });
  }
}

/** What a program of several servers needs to know of its run. */
export interface Run {
  readonly scenario: Scenario;
  readonly servers: readonly QuorumServer[];
  readonly fail: (invariant: Invariant, text: string) => void;
}

/** One process before three servers: its connections, and its tasks. */
export class QuorumProgram {
  readonly process: Process;
  readonly left: Set<string> = new Set(['open']);
  readonly held: Set<{ lease: HeldQuorumLease; overSinceUs: number | undefined }> = new Set();
  readonly signals: AbortSignal[] = [];
  grants = 0;
  holdsProcess = false;
  readonly #run: Run;
  readonly #links: readonly Link[];
  #shared: QuorumLockstep | undefined;

  constructor(plan: ProcessPlan, process: Process, run: Run) {
    this.process = process;
    this.#run = run;
    this.#links = run.servers.map((server) => new Link(process, server, run.scenario.faults));
    process.main.after(plan.openMs * 1_000, 'opens', () => this.#settled('open', this.#open(plan.tasks)));
  }

  /** The connections to a server, or to all, break or hang; the returned function mends them. */
  breakDown(how: 'cut' | 'hang', server: number | undefined): () => void {
    const links = this.#links.filter((_, number) => server === undefined || number === server);
    for (const link of links) link.breakDown(how);
    return () => {
      for (const link of links) link.mend();
    };
  }

  close(): { done: boolean } {
    const state = { done: false };
    (this.#shared?.close() ?? Promise.resolve()).then(
      () => (state.done = true),
      (error: unknown) => this.#run.fail('expected errors', `close: ${String(error)}`),
    );
    return state;
  }

  #voters(): Voters {
    const { main, keeper } = this.process;
    const all = this.#links.map((link) => link.voter('main'));
    const renewing = this.#links.map((link) => link.voter('keeper'));
    const keepers = openKeepers({ clock: keeper.clock, renew: renewByMajority(renewing, keeper.clock) });
    return {
      all,
      clock: main.clock,
      keeper: (wanted) => keepers.keeper({ ...wanted, lost: (lost) => main.after(5, 'told', () => wanted.lost(lost)) }),
      ref: () => (this.holdsProcess = true),
      unref: () => (this.holdsProcess = false),
      close: () => keepers.close(),
    };
  }

  async #open(tasks: readonly Task[]): Promise<void> {
    const id = this.process.name;
    for (;;) {
      const session = new QuorumSession(this.#voters(), { space: 's', label: id, id, maxStallMs: 0, ttlMsMax });
      try {
        await session.join();
        this.#shared = createQuorumLockstep(session);
        break;
      } catch (error) {
        this.#expect(error, ['UNAVAILABLE']);
        await session.close();
        await this.#pause(20);
      }
    }
    for (const [i, task] of tasks.entries()) {
      if (task.do !== 'lock' && task.do !== 'try') continue;
      const name = `${i} ${task.do}`;
      this.left.add(name);
      this.process.main.after(task.startMs * 1_000, name, () => this.#settled(name, this.#lock(task)));
    }
  }

  #settled(name: string, task: Promise<void>): void {
    task
      .catch((error: unknown) => this.#expect(error, []))
      .finally(() => this.left.delete(name))
      .catch(() => {}); // it does not reject
  }

  async #lock(task: Extract<Task, { do: 'lock' | 'try' }>): Promise<void> {
    const { ttlMs, maxHoldMs, timeoutMs } = task;
    const lock = this.#shared!.lock(task.lock, { ttl: ttlMs, ...(maxHoldMs > 0 ? { maxHold: maxHoldMs } : {}) });
    let lease: QuorumLease | undefined;
    try {
      const options = { ...(timeoutMs !== undefined && { timeout: timeoutMs }), ...this.#signal(task) };
      lease = task.do === 'try' ? await lock.tryAcquire() : await lock.acquire(options);
    } catch (error) {
      this.#expect(error, ['UNAVAILABLE', 'TIMEOUT', 'aborted']);
    }
    if (lease === undefined) return;
    this.grants += 1;
    this.held.add({ lease: lease as HeldQuorumLease, overSinceUs: undefined });
    for (let i = 0; i < task.pauses && !lease.signal.aborted; i++) await this.#pause(task.pauseMs);
    if (lease.signal.aborted) this.#expect(lease.signal.reason, ['LEASE_LOST']);
    await lease.release();
  }

  #signal(task: Extract<Task, { do: 'lock' | 'try' }>): { signal?: AbortSignal } {
    if (task.do === 'try' || task.abortMs === undefined) return {};
    const abort = new AbortController();
    this.signals.push(abort.signal);
    this.process.main.after(task.abortMs * 1_000, 'aborts', () => abort.abort(new Aborted()));
    return { signal: abort.signal };
  }

  #expect(error: unknown, codes: readonly string[]): void {
    if ((isLockstepError(error) || error instanceof Aborted) && codes.includes(error.code)) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#run.fail('expected errors', `${this.process.name}: ${text}`);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.process.main.after(ms * 1_000, 'goes on', resolve));
  }
}

/** How a process reaches one server: a connection for its program, and one for the thread that renews. */
class Link {
  readonly #process: Process;
  readonly #server: QuorumServer;
  readonly #wires: Readonly<Record<'main' | 'keeper', Wire>>;
  /** The run of the server that the program has heard of, and the connection that it has. */
  #known: ServerRun | undefined;
  #connections = 0;

  constructor(process: Process, server: QuorumServer, faults: readonly Fault[]) {
    this.#process = process;
    this.#server = server;
    const wire = (by: 'main' | 'keeper'): Wire =>
      new Wire({
        process,
        thread: process[by],
        by,
        server: server.number,
        usualUs: 800,
        mayRepeat: () => true,
        mayComeLate: true,
        faults,
        applied: () => {},
      });
    this.#wires = { main: wire('main'), keeper: wire('keeper') };
  }

  breakDown(how: 'cut' | 'hang'): void {
    this.#connections += 1;
    for (const wire of Object.values(this.#wires)) wire.breakDown(how);
  }

  mend(): void {
    for (const wire of Object.values(this.#wires)) wire.down = undefined;
  }

  voter(by: 'main' | 'keeper'): Voter {
    const wire = this.#wires[by];
    let connection = -1;
    const send = async <R>(name: string, keys: unknown, args: unknown, step: (store: Engine) => Promise<R>) => {
      while (connection !== this.#connections) {
        const now = this.#connections;
        await wire
          .send('info', '', '', async () => {
            const { run, upSeconds } = this.#server;
            return { run, upSeconds };
          })
          .then(({ run, upSeconds }) => {
            if (by === 'main') this.#meet(run, upSeconds);
          });
        connection = now;
      }
      const { run } = this.#server;
      return wire.send(name, keys, args, () => {
        if (this.#server.run !== run) return Promise.reject(new Error('the connection is gone'));
        return step(this.#server.store);
      });
    };
    return {
      name: `server ${this.#server.number}`,
      run: (operation, keys, args) => send(operation.name, keys, args, (store) => store.run(operation, keys, args)),
      runBatch: (operation, keys, args) =>
        send(operation.name, keys, args, (store) => store.runBatch(operation, keys, args)),
      scan: (key, cursor, count) => send('scan', key, '', (store) => store.scan(key, cursor, count)),
      serverRun: () => this.#known,
    };
  }

  /** As src/engines/redis/voters.ts reads INFO. */
  #meet(id: string, upSeconds: number): void {
    const nowMs = this.#process.main.clock.monotonicMs();
    if (this.#known?.id === id) return;
    const sinceMs = this.#known === undefined ? nowMs - Math.max(0, upSeconds - 1) * 1_000 : nowMs;
    this.#known = { id, sinceMs };
  }
}

/** Looks at the leases of all: never two valid ones, and whoever has lost one is told. */
export function lookAtQuorum(programs: readonly QuorumProgram[], fail: Run['fail']): void {
  let valid: string | undefined;
  for (const { process, held } of programs) {
    for (const one of held) {
      const { lease } = one;
      if (!lease.active || process.dead) held.delete(one);
      else if (lease.remaining() > 0) {
        one.overSinceUs = undefined;
        if (valid !== undefined) fail('one valid lease', `${valid} and ${process.name} hold lock a`);
        valid = process.name;
      } else {
        one.overSinceUs = process.main.running ? (one.overSinceUs ?? process.world.nowUs) : undefined;
        const lateUs = process.world.nowUs - (one.overSinceUs ?? process.world.nowUs);
        if (lateUs > (ttlMsMax / 3 + 30) * 1_000) {
          fail('losses are told', `${process.name} still works under lock a, which is over`);
        }
      }
    }
  }
}

/** Programs over several servers in their run; what is left of them in the end. */
export function leftOnServers(all: readonly QuorumServer[], isLeft: (key: string) => boolean): string[] {
  return all.flatMap(({ store }) => Object.keys(store.dump()).filter(isLeft));
}

export function openServers(world: World): QuorumServer[] {
  return Array.from({ length: servers }, (_, number) => new QuorumServer(number, world));
}
