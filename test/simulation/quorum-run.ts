import { getEventListeners } from 'node:events';
import { chanceOf } from './chance.ts';
import { Process } from './process.ts';
import { leftOnServers, lookAtQuorum, openServers, QuorumProgram, type QuorumServer, type Run } from './quorum.ts';
import { type Fault, idleMs, peaceMs, progressMs, type Scenario } from './scenario.ts';
import { inFullTurns, turn } from './turns.ts';
import { Violation } from './witness.ts';
import { World } from './world.ts';

/** A run over several servers that know nothing of each other. */
export class QuorumSimulation {
  readonly #world: World;
  readonly #servers: readonly QuorumServer[];
  readonly #programs: readonly QuorumProgram[];
  #events = 0;
  #violation: Violation | undefined;

  constructor(scenario: Scenario, log?: (line: string) => void) {
    const chance = chanceOf(scenario.seed);
    const world = new World(chance, log);
    this.#world = world;
    this.#servers = openServers(world);
    const run: Run = {
      scenario,
      servers: this.#servers,
      fail: (invariant, text) => (this.#violation ??= new Violation(invariant, text)),
    };
    this.#programs = scenario.processes.map((plan) => {
      return new QuorumProgram(plan, new Process(plan, world, { shiftUs: plan.skewMs * 1_000 }, chance), run);
    });
    for (const fault of scenario.faults) {
      if (fault.what === 'request' || fault.what === 'mail') continue; // its connection knows
      world.after(fault.atMs * 1_000, fault.what, () => this.#begin(fault));
    }
  }

  get told(): { fingerprint: number; events: number; grants: number; faults: ReadonlyMap<string, number> } {
    const grants = this.#programs.reduce((sum, program) => sum + program.grants, 0);
    return { fingerprint: this.#world.fingerprint, events: this.#events, grants, faults: this.#world.faults };
  }

  async run(): Promise<void> {
    const alive = (): QuorumProgram[] => this.#programs.filter(({ process }) => !process.dead);
    const isBusy = (): boolean => this.#world.nowUs < peaceMs * 1_000 || alive().some(({ left }) => left.size > 0);
    await this.#until((peaceMs + progressMs) * 1_000, isBusy);
    for (const { process, left } of alive()) {
      if (left.size === 0) continue;
      throw new Violation('nobody is forgotten', `${process.name} still does: ${[...left].join(', ')}`);
    }
    await this.#until(this.#world.nowUs + idleMs * 1_000, () => true);
    this.#checkIdle(alive());
    const closed = alive().map((program) => program.close());
    await turn();
    await this.#until(this.#world.nowUs + idleMs * 1_000, () => true);
    if (closed.some(({ done }) => !done)) throw new Violation('nobody is forgotten', 'close did not end');
    this.#checkAhead('after close', Infinity);
  }

  #until(untilUs: number, goesOn: () => boolean): Promise<void> {
    return inFullTurns(() => {
      lookAtQuorum(this.#programs, (invariant, text) => (this.#violation ??= new Violation(invariant, text)));
      if (this.#violation !== undefined) throw this.#violation;
      if (!goesOn() || !this.#world.step(untilUs)) return false;
      this.#events += 1;
      return true;
    });
  }

  #checkIdle(alive: readonly QuorumProgram[]): void {
    this.#checkAhead('it goes on', this.#world.nowUs + 24 * 3_600_000_000);
    this.#world.nowUs += idleMs * 1_000; // longer than any lease
    const left = leftOnServers(this.#servers, (key) => key.includes(':lock'));
    if (left.length > 0) throw new Violation('nothing is left', `keys: ${left.join(', ')}`);
    for (const { process, holdsProcess, signals } of alive) {
      if (holdsProcess) throw new Violation('nothing is left', `${process.name} is kept alive`);
      if (!signals.some((signal) => getEventListeners(signal, 'abort').length > 0)) continue;
      throw new Violation('nothing is left', `a listener of a signal of ${process.name}`);
    }
  }

  #checkAhead(when: string, untilUs: number): void {
    const dead = new Set(this.#programs.filter(({ process }) => process.dead).map(({ process }) => process.name));
    const ahead = this.#world.ahead(untilUs).filter((what) => !dead.has(what.split(' ', 1)[0]!));
    if (ahead.length > 0) throw new Violation('nothing is left', `${when}: ${[...new Set(ahead)].join(', ')}`);
  }

  #begin(fault: Exclude<Fault, { what: 'request' | 'mail' }>): void {
    const world = this.#world;
    const program = this.#programs.find(({ process }) => process.name === fault.process);
    if (program?.process.dead === true || (program === undefined && fault.what !== 'restart')) return;
    world.met(fault.what);
    world.note(() => `--- ${JSON.stringify(fault)}`);
    if (fault.what === 'crash') program!.process.dead = true;
    else if (fault.what === 'set clock') program!.process.wall.shiftUs += fault.byMs * 1_000;
    else {
      const end = fault.what === 'restart' ? this.#restart(fault.server) : this.#disturb(fault, program!);
      world.after(fault.forMs * 1_000, `end of ${fault.what}`, end);
    }
  }

  #restart(server: number): () => void {
    this.#servers[server]!.restart();
    const ends = this.#programs.map((program) => program.breakDown('cut', server));
    return () => {
      for (const end of ends) end();
    };
  }

  #disturb(fault: Extract<Fault, { what: 'stall' | 'stop' | 'sleep' | 'cut' | 'hang' }>, program: QuorumProgram) {
    const { process } = program;
    if (fault.what === 'cut' || fault.what === 'hang') return program.breakDown(fault.what, fault.server);
    if (fault.what !== 'stall') return process.stop(fault.what === 'sleep');
    process.main.stop();
    return () => process.main.resume();
  }
}
