import { run } from './run.ts';
import type { Scenario } from './scenario.ts';
import type { Invariant } from './witness.ts';

/**
 * A scenario that breaks the same invariant with less: without processes, tasks and faults that it does not take, and
 * with tasks that do no more than they must. Tries at most `runsMax` scenarios.
 */
export async function shrink(scenario: Scenario, invariant: Invariant, runsMax = 500): Promise<Scenario> {
  let smallest = scenario;
  let runs = 0;
  const breaks = async (smaller: Scenario): Promise<boolean> => {
    runs += 1;
    return (await run(smaller)).violation?.invariant === invariant;
  };
  for (let before: Scenario | undefined; before !== smallest && runs < runsMax;) {
    before = smallest;
    for (const make of smallerOnes(before)) {
      if (runs >= runsMax) break;
      const smaller = make(smallest);
      if (smaller !== undefined && (await breaks(smaller))) smallest = smaller;
    }
  }
  return smallest;
}

/** A way to make a scenario smaller; nothing where it is not possible any more. */
type Shrink = (scenario: Scenario) => Scenario | undefined;

function* smallerOnes({ processes, faults }: Scenario): Generator<Shrink> {
  for (const { name } of processes) {
    yield (scenario) => ({
      ...scenario,
      processes: scenario.processes.filter((process) => process.name !== name),
      faults: scenario.faults.filter((fault) => fault.process !== name),
    });
  }
  for (const fault of faults) {
    yield (scenario) => ({ ...scenario, faults: scenario.faults.filter((other) => other !== fault) });
  }
  for (const task of processes.flatMap(({ tasks }) => tasks)) {
    yield (scenario) => withTasks(scenario, (tasks) => tasks.filter((other) => other !== task));
    if (!('pauses' in task)) continue;
    const simpler = { ...task, pauses: Math.min(task.pauses, 1), writes: false, timeoutMs: undefined, maxHoldMs: 0 };
    yield (scenario) => withTasks(scenario, (tasks) => tasks.map((other) => (other === task ? simpler : other)));
  }
}

type Tasks = Scenario['processes'][number]['tasks'];

function withTasks(scenario: Scenario, change: (tasks: Tasks) => Tasks): Scenario | undefined {
  const processes = scenario.processes.map((process) => ({ ...process, tasks: change(process.tasks) }));
  const isSame = processes.every(({ tasks }, i) => {
    const before = scenario.processes[i]!.tasks;
    return tasks.length === before.length && tasks.every((task, j) => task === before[j]);
  });
  return isSame ? undefined : { ...scenario, processes };
}
