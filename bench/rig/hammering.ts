import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { at, nowMs } from './clock.ts';
import type { Locker, Section } from './lockers.ts';

/** Tasks that enter and leave a section as often as they can. */
export interface Plan {
  readonly tasks: number;
  /** The lock of all tasks; or its beginning, where each task has a lock of its own. */
  readonly lock: string;
  readonly ownLocks: boolean;
  /** How long a task stays in the section: ms of a timer; 0: it leaves at once. */
  readonly sectionMs: number;
  /** Tasks begin, before anything counts. By `nowMs`, as the rest. */
  readonly startMs: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What one process measured from `fromMs` until `untilMs`. */
export interface Hammered {
  /** By acquisition: which task, and when it asked, was in, and was about to leave: ms. */
  readonly task: Uint8Array;
  readonly askedMs: Float64Array;
  readonly inMs: Float64Array;
  readonly outMs: Float64Array;
  /** How long those have waited at the end that were not in yet: ms. */
  readonly stillWaitingMs: readonly number[];
  /** Steps, system calls or commands. */
  readonly sent: number;
  /** CPU time of the process, all its threads: µs. */
  readonly cpuUs: number;
  /** The longest that the event loop did not turn: ms. */
  readonly stallMs: number;
}

export async function hammer(locker: Locker, plan: Plan): Promise<Hammered> {
  const log = { task: [] as number[], asked: [] as number[], in: [] as number[], out: [] as number[] };
  const stillWaitingMs: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let sent = 0;
  let cpu = process.cpuUsage();
  let stallMs = 0;
  /** The tasks let no timer come in between. */
  let isBlind = false;
  at(plan.fromMs, () => {
    isBlind = nowMs() >= plan.untilMs;
    sent = locker.sent();
    cpu = process.cpuUsage();
    delay.enable();
  });
  at(plan.untilMs, () => {
    sent = locker.sent() - sent;
    cpu = process.cpuUsage(cpu);
    delay.disable();
    stallMs = Math.max(0, delay.max / 1e6 - 1);
  });

  async function run(task: number, section: Section): Promise<void> {
    for (;;) {
      const asked = nowMs();
      if (asked >= plan.untilMs) return;
      await section.enter();
      const entered = nowMs();
      if (plan.sectionMs > 0) await sleep(plan.sectionMs);
      const left = nowMs();
      if (entered >= plan.untilMs) stillWaitingMs.push(plan.untilMs - asked);
      else if (entered >= plan.fromMs) {
        log.task.push(task);
        log.asked.push(asked);
        log.in.push(entered);
        log.out.push(left);
      }
      await section.leave();
    }
  }

  await sleep(Math.max(0, plan.startMs - nowMs()));
  await Promise.all(
    Array.from({ length: plan.tasks }, (_, task) =>
      run(task, locker.section(plan.ownLocks ? `${plan.lock}-${process.pid}-${task}` : plan.lock)),
    ),
  );
  await sleep(Math.max(0, plan.untilMs - nowMs()) + 2); // the timer at the end

  return {
    task: Uint8Array.from(log.task),
    askedMs: Float64Array.from(log.asked),
    inMs: Float64Array.from(log.in),
    outMs: Float64Array.from(log.out),
    stillWaitingMs,
    sent,
    cpuUs: isBlind ? Number.NaN : cpu.user + cpu.system,
    stallMs,
  };
}
