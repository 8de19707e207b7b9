import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processes, threads } from '../plan.ts';
import type { HalfDone } from '../scenario.ts';
import { machineMs, type News, type Run, type Sender, type Tally } from './messages.ts';

/** A process that was killed in the middle of a transfer. */
export interface Victim {
  readonly process: number;
  readonly pid: number;
  readonly step: HalfDone;
  readonly killedAtMs: number;
  /** When the next one held the giver's lock, and saw it; nothing if nobody has so far. */
  foundAtMs?: number;
}

export interface CrewRun {
  readonly scenario: string;
  readonly safe: boolean;
  readonly ms: number;
  /** Kills the last process -9 when it holds two locks and is halfway through a transfer. */
  readonly killHalfway?: boolean;
}

/** On a machine with much else to do. */
const patienceMs = 30_000;

/** The processes that race. None of them outlives this one. */
export class Crew {
  victim: Victim | undefined;
  readonly #children: readonly ChildProcess[];
  /** By thread, `process.thread`. */
  readonly #latest: Map<string, Tally & { ended: boolean }> = new Map();
  #ready = 0;
  #ending = false;
  #failure: Error | undefined;

  constructor(where: string) {
    const file = fileURLToPath(new URL('process.ts', import.meta.url));
    this.#children = Array.from({ length: processes }, (_, number) => {
      const child = fork(file, [where, String(number), String(threads)]);
      child.on('message', (news) => this.#hear(news as Sender & News));
      child.on('exit', (code, signal) => {
        if (this.#ending || this.victim?.process === number) return;
        this.#failure ??= new Error(`process ${number} ended by itself: ${signal ?? `exit code ${code ?? 0}`}`);
      });
      return child;
    });
  }

  get pids(): number[] {
    return this.#children.map((child) => child.pid!);
  }

  ready(): Promise<void> {
    return this.#until('not all threads were ready', patienceMs, () => this.#ready === processes * threads);
  }

  /** Lets all tasks run; calls `progress` as they go. Resolves to what they did, the killed ones as far as known. */
  async run({ killHalfway = false, ...leg }: CrewRun, progress: (tally: Tally) => void): Promise<Tally> {
    this.#latest.clear();
    const order: Run = { say: 'run', ...leg };
    const last = { ...order, stopHalfwayAfterMs: leg.ms / 3 };
    for (const [number, child] of this.#children.entries()) {
      child.send(killHalfway && number === processes - 1 ? last : order);
    }
    await this.#until(`not all tasks of ${leg.scenario} were done`, leg.ms + patienceMs, () => {
      progress(this.#tally());
      const living = this.victim === undefined ? processes : processes - 1;
      return (
        [...this.#latest].filter(([sender, { ended }]) => ended && !this.#isDead(sender)).length === living * threads
      );
    });
    return this.#tally();
  }

  /** Lets everybody close what they opened. Resolves when no process is left. */
  async close(): Promise<void> {
    this.#ending = true;
    const living = this.#children.filter((child) => child.exitCode === null && child.signalCode === null);
    await Promise.all(
      living.map(async (child) => {
        if (child.connected) child.disconnect();
        await once(child, 'exit');
      }),
    );
  }

  kill(): void {
    this.#ending = true;
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #hear(news: Sender & News): void {
    switch (news.say) {
      case 'ready':
        this.#ready += 1;
        break;
      case 'progress':
        this.#latest.set(`${news.process}.${news.thread}`, news);
        break;
      case 'halfway':
        this.#killAt(news.process, news.step);
        break;
      case 'found':
        if (this.victim?.step.from === news.step.from) this.victim.foundAtMs ??= news.atMs;
        break;
      case 'failed':
        this.#failure ??= new Error(`process ${news.process}, thread ${news.thread}: ${news.error}`);
    }
  }

  #killAt(number: number, step: HalfDone): void {
    const child = this.#children[number]!;
    if (this.victim !== undefined) return;
    this.victim = { process: number, pid: child.pid!, step, killedAtMs: machineMs() };
    child.kill('SIGKILL');
  }

  #isDead(sender: string): boolean {
    return this.victim !== undefined && sender.startsWith(`${this.victim.process}.`);
  }

  #tally(): Tally {
    const all = [...this.#latest.values()];
    return {
      operations: all.reduce((sum, { operations }) => sum + operations, 0),
      updates: all.reduce((sum, { updates }) => sum + updates, 0),
      worstMs: all.reduce((worst, { worstMs }) => Math.max(worst, worstMs), 0),
    };
  }

  /** Looks ten times a second. */
  async #until(what: string, ms: number, condition: () => boolean): Promise<void> {
    const deadline = performance.now() + ms;
    while (!condition()) {
      if (this.#failure !== undefined) throw this.#failure;
      if (performance.now() > deadline) throw new Error(`the race hangs: after ${ms} ms ${what}`);
      await sleep(100);
    }
  }
}
