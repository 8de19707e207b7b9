import { getEventListeners } from 'node:events';
import { systemClock } from '../../src/base/clock.ts';
import { limits } from '../../src/base/limits.ts';
import { memoryEngine, type MemoryEngine } from '../../src/engines/memory.ts';
import { checkLinearizable } from '../histories/linearizable.ts';
import { counter, map } from '../histories/models.ts';
import { checkSerializable, type Transaction } from '../histories/serializable.ts';
import { type Chance, chanceOf } from './chance.ts';
import { RemoteEngine } from './engine.ts';
import { Process, type WallClock, wallUs } from './process.ts';
import { QuorumSimulation } from './quorum-run.ts';
import { type Fault, idleMs, peaceMs, progressMs, type Scenario } from './scenario.ts';
import { checkThings } from './things-check.ts';
import { inTurns, turn } from './turns.ts';
import { Violation, Witness } from './witness.ts';
import { nothingSeen, Program, type Seen } from './workload.ts';
import { World } from './world.ts';

/** What came of a run. */
export interface Outcome {
  readonly violation: Violation | undefined;
  /** Equal for runs in which the same happened. */
  readonly fingerprint: number;
  readonly events: number;
  readonly grants: number;
  /** How often each kind of fault came about. */
  readonly faults: ReadonlyMap<string, number>;
}

/** Kinds of keys (docs/keys.md) that last, and those that wait for the next step of anybody where a process died. */
const lasting: ReadonlySet<string> = new Set(
  'fence sessions commits counter value map set sorted list topic topic-log queue group'.split(' '),
);
const passed: ReadonlySet<string> = new Set(['list-taken', 'list-grants', 'topic-waiting']);

/** Runs a scenario from its beginning to an empty world. `log` hears of everything that happens. */
export async function run(scenario: Scenario, log?: (line: string) => void): Promise<Outcome> {
  const simulation = scenario.kind === 'quorum' ? new QuorumSimulation(scenario, log) : new Simulation(scenario, log);
  try {
    await simulation.run();
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const violation = error instanceof Violation ? error : new Violation('no crash', text);
    log?.(violation.message);
    return { violation, ...simulation.told };
  }
  return { violation: undefined, ...simulation.told };
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #chance: Chance;
  readonly #world: World;
  readonly #store: MemoryEngine;
  readonly #remotes = new Map<string, RemoteEngine>();
  readonly #programs: Program[] = [];
  readonly #witness: Witness;
  readonly #seen: Seen = nothingSeen();
  #events = 0;

  constructor(scenario: Scenario, log?: (line: string) => void) {
    this.#scenario = scenario;
    this.#chance = chanceOf(scenario.seed);
    const world = new World(this.#chance, log);
    this.#world = world;
    const storeWall: WallClock = { shiftUs: 0 };
    this.#store = memoryEngine({ clock: { ...systemClock, wallUs: () => wallUs(world, storeWall, 1) } });
    this.#witness = new Witness(this.#store, 's', ['a', 'b'], this.#remotes);
    const nests = scenario.processes.some(({ tasks }) => tasks.some((task) => task.do === 'nest'));
    for (const plan of scenario.processes) {
      const wall = scenario.kind === 'machine' ? storeWall : { shiftUs: plan.skewMs * 1_000 };
      const process = new Process(plan, world, wall, this.#chance);
      const remote = new RemoteEngine(process, this.#store, scenario, (step) => this.#witness.applied(process, step));
      this.#remotes.set(plan.name, remote);
      this.#programs.push(new Program(plan, remote, this.#witness, this.#seen, nests));
    }
    for (const fault of scenario.faults) this.#plan(fault);
  }

  get told(): Omit<Outcome, 'violation'> {
    return {
      fingerprint: this.#world.fingerprint,
      events: this.#events,
      grants: this.#seen.grants,
      faults: this.#world.faults,
    };
  }

  async run(): Promise<void> {
    const alive = (): Program[] => this.#programs.filter(({ process }) => !process.dead);
    const isBusy = (): boolean => this.#world.nowUs < peaceMs * 1_000 || alive().some(({ left }) => left.size > 0);
    const isSet = this.#scenario.faults.some(({ what }) => what === 'set clock');
    await this.#until((peaceMs + progressMs + (isSet ? limits.recheckMsMax : 0)) * 1_000, isBusy);
    for (const { process, left } of alive()) {
      if (left.size > 0) this.#fail('nobody is forgotten', `${process.name} still does: ${[...left].join(', ')}`);
    }
    await this.#until(this.#world.nowUs + idleMs * 1_000, () => true);
    this.#checkThings(alive());
    this.#checkIdle(alive());
    const closed = alive().map((program) => program.close());
    await turn();
    await this.#until(this.#world.nowUs + idleMs * 1_000, () => true);
    if (closed.some(({ done }) => !done)) this.#fail('nobody is forgotten', 'close did not end');
    this.#checkClosed(alive());
    this.#checkData();
  }

  /** Lets things happen while `goesOn`, up to this time. */
  #until(untilUs: number, goesOn: () => boolean): Promise<void> {
    return inTurns(() => {
      this.#witness.look();
      if (this.#witness.violation !== undefined) throw this.#witness.violation;
      if (!goesOn() || !this.#world.step(untilUs)) return false;
      this.#events += 1;
      return true;
    });
  }

  #fail(invariant: Violation['invariant'], text: string): never {
    throw new Violation(invariant, text);
  }

  #plan(fault: Fault): void {
    if (fault.what === 'request' || fault.what === 'mail' || fault.what === 'restart') return; // its engine knows
    const remote = this.#remotes.get(fault.process);
    if (remote === undefined) return;
    const { process } = remote;
    this.#world.after(fault.atMs * 1_000, fault.what, () => {
      if (process.dead) return;
      this.#world.met(fault.what);
      this.#world.note(() => `--- ${JSON.stringify(fault)}`);
      if (fault.what === 'crash') remote.crash(fault.seenMs);
      else if (fault.what === 'set clock') {
        process.wall.shiftUs += fault.byMs * 1_000;
        if (this.#scenario.kind === 'machine' && fault.byMs >= limits.queueMs) this.#witness.forgetLines();
      } else {
        const end = this.#begin(fault, remote);
        this.#world.after(fault.forMs * 1_000, `end of ${fault.what}`, () => {
          this.#world.note(() => `--- end of ${JSON.stringify(fault)}`);
          end();
        });
      }
    });
  }

  #begin(fault: Extract<Fault, { forMs: number }>, remote: RemoteEngine): () => void {
    const { process } = remote;
    if (fault.what === 'cut' || fault.what === 'hang') return remote.breakDown(fault.what);
    if (fault.what === 'stop' || fault.what === 'sleep') return process.stop(fault.what === 'sleep');
    process.main.stop();
    return () => process.main.resume();
  }

  /** Everybody has done what it had to do: what is there now would stay. */
  #checkIdle(alive: readonly Program[]): void {
    const isAlive = this.#isAlive;
    // The thread that renews looks at its empty table every twelve days.
    const ahead = this.#world.ahead(this.#world.nowUs + 24 * 3_600_000_000).filter((what) => isAlive(what));
    if (ahead.length > 0) this.#fail('nothing is left', `it goes on: ${[...new Set(ahead)].join(', ')}`);
    this.#world.nowUs += 3 * 3_600_000_000; // longer than any key lives, also where the clock was set back
    const left = Object.keys(this.#store.dump()).filter((key) => !this.#mayStay(key));
    if (left.length > 0) this.#fail('nothing is left', `keys: ${left.join(', ')}`);
    for (const { process } of alive) {
      if (this.#remotes.get(process.name)?.holdsProcess === true) {
        this.#fail('nothing is left', `${process.name} is kept alive`);
      }
    }
    for (const { process, signal } of this.#seen.signals) {
      if (!process.dead && getEventListeners(signal, 'abort').length > 0) {
        this.#fail('nothing is left', `a listener of a signal of ${process.name}`);
      }
    }
  }

  /** What is shared stays; so does what a process that died had been handed, until somebody comes by. */
  #mayStay(key: string): boolean {
    const kind = key.split(':')[1] ?? '';
    if (lasting.has(kind) || kind.startsWith('queue-') || kind.startsWith('group-')) return true;
    return passed.has(kind) && this.#programs.some(({ process }) => process.dead);
  }

  #checkClosed(alive: readonly Program[]): void {
    const isAlive = this.#isAlive;
    const ahead = this.#world.ahead(Infinity).filter((what) => isAlive(what));
    if (ahead.length > 0) this.#fail('nothing is left', `after close: ${[...new Set(ahead)].join(', ')}`);
    const cards = this.#store.dump()['{s}:sessions'];
    const closed = new Set(alive.map(({ process }) => process.name));
    const left = (cards?.type === 'hash' ? (cards.value as [string, string][]) : []).filter(([id]) => closed.has(id));
    if (left.length > 0) this.#fail('nothing is left', `the card of ${left[0]![0]}`);
  }

  /** Before so much time has passed that what expires is gone. */
  #checkThings(alive: readonly Program[]): void {
    const byMs = this.#scenario.kind === 'machine' ? this.#setByMs() : [];
    const end = {
      dump: this.#store.dump(),
      isSet: byMs.length > 0,
      isExpired: byMs.some((ms) => ms > limits.queueMs),
      alive: new Set(alive.map(({ process }) => process.name)),
    };
    for (const { invariant, text } of checkThings(this.#seen.things, end)) this.#fail(invariant, text);
  }

  /** By how much clocks were set: ms. */
  #setByMs(): number[] {
    return this.#scenario.faults.flatMap((fault) => (fault.what === 'set clock' ? [fault.byMs] : []));
  }

  #checkData(): void {
    const counts = this.#store.dump()['{s}:map:protected'];
    const counted = new Map(counts?.type === 'hash' ? (counts.value as [string, string][]) : []);
    for (const [lock, { sure, perhaps }] of Object.entries(this.#seen.counted)) {
      const count = Number(counted.get(lock) ?? 0);
      if (count >= sure && count <= sure + perhaps + this.#lostWithTheDead()) continue;
      this.#fail('exact', `what lock ${lock} protects is ${count}, after ${sure} sure and ${perhaps} possible writes`);
    }
    this.#checkTransactions();
    const works = this.#scenario.processes.some(
      ({ name, tasks }) => tasks.some((task) => task.do === 'work') && this.#isAlive(name),
    );
    const unhandled = [...this.#seen.pushed].filter((message) => !this.#seen.handled.has(message));
    const forgotten = unhandled.filter((message) => !this.#waitsForTheClock(message));
    if (works && forgotten.length > 0) this.#fail('nobody is forgotten', `messages: ${forgotten.join(', ')}`);
    const counting = checkLinearizable(counter, this.#seen.counter, 1_000).verdict;
    const mapping = checkLinearizable(map, this.#seen.map, 1_000).verdict;
    if (counting === 'not linearizable') this.#fail('exact', `counter: ${JSON.stringify(this.#seen.counter)}`);
    if (mapping === 'not linearizable') this.#fail('exact', `map: ${JSON.stringify(this.#seen.map)}`);
  }

  /** A message that waits for a time of the store's clock (a retry, a lease) waits longer where that was set back. */
  #waitsForTheClock(message: string): boolean {
    const { kind, faults } = this.#scenario;
    if (kind !== 'machine' || !faults.some((fault) => fault.what === 'set clock' && fault.byMs < 0)) return false;
    const messages = this.#entries('{s}:queue-messages:q');
    const id = messages.find(([, text]) => text.endsWith(`:${JSON.stringify(message)}`))?.[0];
    const timed = [...this.#entries('{s}:queue-delayed:q'), ...this.#entries('{s}:queue-leases:q')];
    return id !== undefined && timed.some(([entry]) => entry.startsWith(`${id}:`));
  }

  #entries(key: string): readonly [string, string][] {
    return (this.#store.dump()[key]?.value ?? []) as [string, string][];
  }

  /** The last word of the lists is read too: whatever was acknowledged must be in it. */
  #checkTransactions(): void {
    const lists = this.#store.dump()['{s}:map:lists'];
    const entries = lists?.type === 'hash' ? (lists.value as [string, string][]) : [];
    const stored = new Map(entries.map(([key, text]) => [key, JSON.parse(text) as number[]]));
    const steps = ['x', 'y', 'z'].map((read) => ({ read, list: stored.get(read) ?? [] }));
    const end: Transaction = { id: 'the end', steps, outcome: 'committed' };
    for (const { kind, text } of checkSerializable([...this.#seen.transactions, end])) {
      this.#fail('exact', `transactions: ${kind}: ${text}`);
    }
    const all = new Set([...stored.values()].flat());
    for (const { id, steps: done, outcome } of this.#seen.transactions) {
      if (outcome !== 'committed') continue;
      const lost = done.find((step) => 'append' in step && !all.has(step.element));
      if (lost !== undefined) this.#fail('exact', `what transaction ${id} wrote is lost: ${JSON.stringify(lost)}`);
    }
  }

  readonly #isAlive = (what: string): boolean => {
    return this.#remotes.get(what.split(' ', 1)[0]!)?.process.dead !== true;
  };

  /** A process that died may have had one write under way for each of its tasks. */
  #lostWithTheDead(): number {
    const dead = this.#scenario.processes.filter(({ name }) => this.#remotes.get(name)?.process.dead === true);
    return dead.reduce((sum, { tasks }) => sum + tasks.length, 0);
  }
}
