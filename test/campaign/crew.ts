import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, startProgram } from '../faults/program.ts';
import type { Word } from '../faults/programs/voice.ts';
import type { Place } from './places.ts';
import type { ClientPlan } from './programs/client.ts';
import type { Kind } from './tasks.ts';

/** What the clients of a campaign are like. */
export interface CrewPlan {
  readonly seed: number;
  /** Where the clients' logs go. */
  readonly directory: string;
  readonly place: Place;
  readonly kinds: readonly Kind[];
  readonly processes: number;
  readonly threads: number;
  /** Between two rounds of a task: ms. */
  readonly pauseMs: number;
}

/** One client: a process, or a thread of the host. */
interface Client {
  readonly number: number;
  readonly isThread: boolean;
  readonly program: Program;
  tell(what: string): void;
  hears(what: string, deadlineMs: number): Promise<Word>;
}

/** The clients, which are killed and begun anew, stopped, and go on. */
export class Crew {
  /** By the names of the clients, whoever of them still lives. */
  readonly logs: Map<string, string> = new Map();
  readonly #plan: CrewPlan;
  #clients: Client[] = [];
  #host: Program | undefined;
  #number = 0;

  constructor(plan: CrewPlan) {
    this.#plan = plan;
  }

  get processes(): readonly Client[] {
    return this.#clients.filter(({ isThread }) => !isThread);
  }

  get threads(): readonly Client[] {
    return this.#clients.filter(({ isThread }) => isThread);
  }

  async begin(): Promise<void> {
    const { processes, threads } = this.#plan;
    for (let i = 0; i < processes; i++) this.#begin(false);
    if (threads > 0) this.#host = startProgram(join(import.meta.dirname, 'programs/host.ts'), {});
    for (let i = 0; i < threads; i++) this.#begin(true);
    await this.#all((client) => client.hears('ready', 60_000));
  }

  /** kill -9; another client comes in its place. */
  async kill(client: Client): Promise<void> {
    client.program.signal('SIGKILL');
    this.#replace(client);
    await client.program.exited;
  }

  async terminate(client: Client): Promise<void> {
    client.tell('terminate');
    await client.hears('terminated', 30_000);
    this.#replace(client);
  }

  /** SIGSTOP for so long; of a thread all of its process. */
  async stop(client: Client, ms: number): Promise<void> {
    client.program.signal('SIGSTOP');
    await sleep(ms);
    client.program.signal('SIGCONT');
  }

  /** Resolves when each task of each client has gone well since. */
  async calm(boundMs: number): Promise<void> {
    await this.#all((client) => client.hears('ready', boundMs));
    for (const client of this.#clients) client.tell('calm');
    await this.#all((client) => client.hears('went well', boundMs));
  }

  tell(what: string): void {
    for (const client of this.#clients) client.tell(what);
  }

  /** No more messages are pushed from then on. */
  async drain(boundMs: number): Promise<void> {
    this.tell('drain');
    await this.#all((client) => client.hears('pushes no more', boundMs));
  }

  /** All end by themselves, in order. */
  async end(boundMs: number): Promise<void> {
    this.tell('stop');
    await this.#all(async ({ isThread, program, hears, number }) => {
      const code = isThread ? (await hears('ended', boundMs))['code'] : (await program.ends(boundMs)).code;
      if (code !== 0) throw new Error(`client ${number} ended with ${String(code)}: ${program.stderr}`);
    });
    this.#host?.tell({ what: 'leave' });
    await this.#host?.ends(boundMs);
  }

  /** What clients wrote to their standard error, but that SQLite is new. */
  get complaints(): string[] {
    const programs = new Set([...this.#clients.map(({ program }) => program), ...(this.#host ? [this.#host] : [])]);
    return [...programs].flatMap(({ pid, stderr }) => {
      const lines = stderr
        .split('\n')
        .filter((line) => line !== '' && !/ExperimentalWarning|trace-warnings/.test(line));
      return lines.length === 0 ? [] : [`process ${pid}: ${lines.join('\n')}`];
    });
  }

  /** Whatever still runs ends at once. */
  async remove(): Promise<void> {
    const programs = [...this.#clients.map(({ program }) => program), ...(this.#host ? [this.#host] : [])];
    for (const program of programs) program.signal('SIGKILL');
    await Promise.all(programs.map(({ exited }) => exited));
  }

  /** Waits for all; then the first that failed counts. */
  async #all(what: (client: Client) => Promise<unknown>): Promise<void> {
    const ended = await Promise.allSettled(this.#clients.map(what));
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
  }

  #replace(client: Client): void {
    this.#clients = this.#clients.filter((other) => other !== client);
    this.#begin(client.isThread);
  }

  #begin(isThread: boolean): void {
    const { seed, directory, place, kinds, pauseMs } = this.#plan;
    const number = ++this.#number;
    const log = join(directory, `c${number}.log`);
    this.logs.set(`c${number}`, log);
    const where = place.where(number);
    const plan: ClientPlan = {
      number,
      seed,
      log,
      where,
      kinds,
      pauseMs,
      ttlMs: place.ttlMs,
      maxTtlMs: 2 * place.ttlMs,
    };
    if (!isThread) {
      const program = startProgram(join(import.meta.dirname, 'programs/client.ts'), plan);
      const { hears } = program;
      this.#clients.push({ number, isThread, program, tell: (what) => program.tell({ what }), hears: once(hears) });
      return;
    }
    const host = this.#host!;
    host.tell({ what: 'begin', plan });
    this.#clients.push({
      number,
      isThread,
      program: host,
      tell: (what) => host.tell({ what, number }),
      hears: once((what, boundMs) => host.hears(`${what} ${number}`, boundMs)),
    });
  }
}

/** The same word each time it is asked for. */
function once(hears: Client['hears']): Client['hears'] {
  const heard = new Map<string, Word>();
  return async (what, deadlineMs) => {
    const word = heard.get(what) ?? (await hears(what, deadlineMs));
    heard.set(what, word);
    return word;
  };
}
