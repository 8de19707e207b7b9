import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Source } from './work.ts';

export interface CrewOptions {
  readonly at: string;
  readonly source: Source;
  readonly processes: number;
  /** In each process. */
  readonly threads: number;
}

/** Processes that work. One that is killed is replaced; none of them outlives this one. */
export class Crew {
  /** Why it can't go on. */
  failure: Error | undefined;
  readonly #options: CrewOptions;
  readonly #children: ChildProcess[];
  #ending = false;
  #next = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#children = Array.from({ length: options.processes }, (_, number) => this.#start(number));
  }

  /** Kills a process -9, each time another one. */
  killOne(): void {
    this.#children[this.#next]!.kill('SIGKILL');
    this.#next = (this.#next + 1) % this.#children.length;
  }

  /** Lets all of them end by themselves. Resolves when none is left. */
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

  #start(number: number): ChildProcess {
    const { at, source, threads } = this.#options;
    const child = fork(fileURLToPath(new URL('process.ts', import.meta.url)), [
      at,
      source,
      String(number),
      String(threads),
    ]);
    child.once('exit', (code, signal) => {
      if (this.#ending) return;
      if (signal === 'SIGKILL') this.#children[number] = this.#start(number);
      else this.failure ??= new Error(`process ${number} ended by itself: ${signal ?? `exit code ${code ?? 0}`}`);
    });
    return child;
  }
}
