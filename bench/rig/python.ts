import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Hammered, Plan } from './hammering.ts';
import type { Places } from './lockers.ts';

/** Debian's, which has Debian's redis-py. */
const python = '/usr/bin/python3';

/** Which redis-py there is; undefined where there is none: apt-get install python3-redis. */
export function redisPyVersion(): string | undefined {
  const { status, stdout } = spawnSync(python, ['-c', 'import redis; print(redis.__version__)'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** The same as `hammer`, by redis-py in a process of its own, a thread a task. */
export type PythonHammer = (plan: Plan) => Promise<Hammered>;

/** Starts the process, which ends with this one; resolves when it is connected. */
export async function startPython({ redisPort }: Places): Promise<PythonHammer> {
  const program = join(import.meta.dirname, 'redis-py.py');
  const child = spawn(python, [program, String(redisPort)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const said = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the process of redis-py ended');
    return value;
  };
  await said();
  return async (plan) => {
    const locks = Array.from({ length: plan.tasks }, (_, task) =>
      plan.ownLocks ? `${plan.lock}-${process.pid}-${task}` : plan.lock,
    );
    child.stdin.write(`${JSON.stringify({ ...plan, locks })}\n`);
    const { task, askedMs, inMs, outMs, ...rest } = JSON.parse(await said()) as Printed;
    return {
      task: Uint8Array.from(task),
      askedMs: Float64Array.from(askedMs),
      inMs: Float64Array.from(inMs),
      outMs: Float64Array.from(outMs),
      ...rest,
      sent: Number.NaN, // not known
      stallMs: Number.NaN,
    };
  };
}

interface Printed extends Pick<Hammered, 'stillWaitingMs' | 'cpuUs'> {
  readonly task: number[];
  readonly askedMs: number[];
  readonly inMs: number[];
  readonly outMs: number[];
}
