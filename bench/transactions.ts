/**
 * Transfers between accounts: `shared.transaction` beside what one does without it: on Redis WATCH, MULTI and EXEC with a
 * connection a task, in a directory a transaction of SQLite by hand. Sums are checked after each round.
 */
import { nowMs } from './rig/clock.ts';
import { startCrew, type Worker } from './rig/crew.ts';
import { startRedis } from './rig/redis.ts';
import { bench, type Finding } from './rig/report.ts';
import { percentile, spread } from './rig/statistics.ts';
import { cell } from './rig/table.ts';
import { type BankPlace, openBank, type TransferPlan, type TransferrerName } from './rig/transferring.ts';

const processes = 4;
const tasks = 8;
/** Before the first window of each: processes live long, and V8 compiles what runs often. */
const warmUpMs = 6_000;
const windowMs = 800;
const rounds = 5;

interface Measured {
  readonly perSecond: number;
  readonly p99Ms: number;
}

await bench('transactions', 240_000, async (stage) => {
  const redis = await startRedis(stage.directory);
  stage.atEnd(() => redis.stop());
  stage.setUp['redis-server'] = `${redis.version}, a unix socket, nothing on disk`;
  const crew = startCrew(processes);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));

  async function compare(
    accounts: number,
    ours: TransferrerName,
    theirs: TransferrerName,
    wanted?: number,
  ): Promise<void> {
    const found: Record<string, Measured[]> = { [ours]: [], [theirs]: [] };
    const place = (round: string): BankPlace => ({
      directory: stage.directory,
      redisPath: redis.path,
      name: `bank-${accounts}-${round}`,
    });
    for (const name of [ours, theirs]) await measure(crew, name, place('warm'), { accounts, ms: warmUpMs });
    for (let round = 0; round < rounds; round++) {
      for (const name of [ours, theirs]) {
        found[name]!.push(await measure(crew, name, place(String(round)), { accounts, ms: windowMs }));
      }
    }
    const ratio = spread(found[ours]!.map(({ perSecond }, i) => perSecond / found[theirs]![i]!.perSecond));
    const line = (name: string, times: string): string[] => [
      name,
      cell(spread(found[name]!.map(({ perSecond }) => perSecond))),
      cell(spread(found[name]!.map(({ p99Ms }) => p99Ms))),
      times,
    ];
    const findings: Finding[] = [];
    if (wanted !== undefined) {
      const what = `transfers/s on ${accounts} accounts, times ${theirs}`;
      findings.push({ what, value: ratio.median, target: `≥ ${wanted}`, met: ratio.median >= wanted });
    }
    stage.show({
      title: `${processes} processes × ${tasks} tasks, transfers between ${accounts} accounts`,
      head: ['', 'transfers/s', 'p99 ms', 'times the other'],
      lines: [line(ours, `${cell(ratio)} ×`), line(theirs, '')],
      findings,
      figures: found,
    });
  }

  if (stage.wants('hot')) await compare(10, 'lockstep on Redis', 'WATCH', 6);
  if (stage.wants('wide')) await compare(1_000, 'lockstep on Redis', 'WATCH', 5);
  if (stage.wants('bare')) await compare(1_000, 'bare client', 'WATCH');
  if (stage.wants('embedded')) {
    await compare(10, 'lockstep', 'sqlite');
    await compare(1_000, 'lockstep', 'sqlite');
  }
});

async function measure(
  crew: readonly Worker[],
  name: TransferrerName,
  place: BankPlace,
  { accounts, ms }: { readonly accounts: number; readonly ms: number },
): Promise<Measured> {
  const bank = await openBank(name, place);
  try {
    await bank.fill(accounts);
    await Promise.all(crew.map((worker) => worker.ask('openBank', name, place)));
    const startMs = nowMs() + 20;
    const fromMs = startMs + 200;
    const plan: TransferPlan = { tasks, accounts, startMs, fromMs, untilMs: fromMs + ms };
    const all = await Promise.all(crew.map((worker) => worker.ask('transfer', plan)));
    const sum = await bank.sum(accounts);
    if (sum !== accounts * 1_000) throw new Error(`${name} lost or made money: ${sum} of ${accounts * 1_000}`);
    const tookMs = Float64Array.from(all.flatMap((one) => [...one.tookMs])).sort();
    return { perSecond: tookMs.length / (ms / 1_000), p99Ms: percentile(tookMs, 0.99) };
  } finally {
    await bank.close();
  }
}
