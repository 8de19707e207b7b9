import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Jobs } from './worker.ts';

/** A process that does jobs, one after the other or several at once. */
export interface Worker {
  readonly pid: number;
  ask<Name extends keyof Jobs>(job: Name, ...given: Parameters<Jobs[Name]>): Promise<Awaited<ReturnType<Jobs[Name]>>>;
  /** Ends the process; resolves when it has ended. */
  stop(): Promise<void>;
}

/** Starts worker processes, which end with this one. */
export function startCrew(size: number): Worker[] {
  return Array.from({ length: size }, startWorker);
}

function startWorker(): Worker {
  const env = { NODE_COMPILE_CACHE: join(tmpdir(), 'lockstep-bench-compiled'), ...process.env };
  const child = fork(join(import.meta.dirname, 'worker.ts'), { serialization: 'advanced', env });
  const exited = once(child, 'exit');
  const asked = new Map<number, { resolve: (reply: never) => void; reject: (error: Error) => void }>();
  let asks = 0;

  child.on('message', ([id, error, reply]: [number, string, never]) => {
    if (error === '') asked.get(id)?.resolve(reply);
    else asked.get(id)?.reject(new Error(error));
    asked.delete(id);
  });
  child.once('exit', (code, signal) => {
    for (const { reject } of asked.values()) reject(new Error(`a worker ended (${code ?? signal})`));
  });

  return {
    pid: child.pid!,
    ask: (job, ...given) =>
      new Promise((resolve, reject) => {
        asks += 1;
        asked.set(asks, { resolve, reject });
        child.send([asks, job, given]);
      }),
    stop: () => stop(child, exited),
  };
}

/** A worker that hears nothing any more ends by itself; one that does not is killed. */
async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await exited;
  clearTimeout(timer);
}
