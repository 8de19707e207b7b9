import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lockstep } from '../../src/lockstep.ts';
import { open } from '../../src/open.ts';
import { until } from '../contract/sessions.ts';
import { nowMs } from '../faults/programs/now.ts';
import { Crew } from './crew.ts';
import { type End, judge, type Judgement, type Problem } from './judge.ts';
import { nemesis } from './nemesis.ts';
import { type EngineName, type Place, places } from './places.ts';
import { readHistory, type Recorded } from './record.ts';
import { accounts, describe, type Kind, queueName, space } from './tasks.ts';

export interface CampaignOptions {
  readonly engine: EngineName;
  /** How long things go wrong. */
  readonly seconds: number;
  readonly seed: number;
  /** Where the histories go; removed when nothing was found. */
  readonly directory: string;
  /** Hears of each fault. */
  readonly tell?: (what: string) => void;
}

export interface Report {
  readonly problems: readonly Problem[];
  /** In one line: how much was done, and checked. */
  readonly summary: string;
}

/** When all faults have ended everybody gets on, messages are handled, and everybody can end, within so long each: ms. */
const progressMs = 40_000;

const kinds: readonly Kind[] = [
  'lock',
  'lock',
  'counter',
  'register',
  'register',
  'transact',
  'transact',
  'push',
  'work',
  'list',
];

/** Lets real clients work on a real store while all goes wrong, and judges what they saw. */
export async function campaign({ engine, seconds, seed, directory, tell }: CampaignOptions): Promise<Report> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const begunMs = nowMs();
  let faults = 0;
  const note = (what: string): void => {
    const line = `${((nowMs() - begunMs) / 1_000).toFixed(3)} s  ${what}`;
    appendFileSync(join(directory, 'faults.log'), `${line}\n`);
    tell?.(line);
    if (!what.startsWith('…')) faults += 1;
  };
  const place = await places[engine]();
  const isQuorum = engine === 'quorum';
  const crew = new Crew({
    seed,
    directory,
    place,
    kinds: isQuorum ? ['lock', 'lock', 'lock'] : kinds,
    processes: 3,
    threads: 2,
    pauseMs: 60,
  });
  const problems: Problem[] = [];
  let finish: Finish = nothing;
  try {
    await crew.begin();
    await nemesis(crew, place, { seed, seconds, tell: note });
    finish = await settle(crew, isQuorum ? undefined : place, problems);
  } finally {
    await crew.remove();
    await place.remove();
  }
  for (const text of crew.complaints) problems.push({ promise: 'errors', text });
  const { calls, bad } = readHistory(crew.logs);
  const judgement = judge({ calls: [...calls, ...finish.calls], bad }, finish.end, place.losses);
  problems.push(...judgement.problems);
  writeReport(directory, seed, problems);
  return { problems, summary: `${faults} faults; ${summaryOf(calls, judgement)}` };
}

/** The last state, and the reads of it, which are part of the history. */
interface Finish {
  readonly end: End;
  readonly calls: readonly Recorded[];
}

const nothing: Finish = { end: { effects: new Map(), accounts: [], lists: new Map() }, calls: [] };

/** The faults have ended: everybody gets on and comes to an end, and nothing stays behind. */
async function settle(crew: Crew, place: Place | undefined, problems: Problem[]): Promise<Finish> {
  const tried = async (promise: Problem['promise'], what: () => Promise<unknown>): Promise<void> => {
    try {
      await what();
    } catch (error) {
      problems.push({ promise, text: describe(error) });
    }
  };
  await tried('progress', () => crew.calm(progressMs));
  if (place === undefined) {
    await tried('progress', () => crew.end(progressMs));
    return nothing;
  }
  const shared = await open(place.direct as string, { space, label: 'the end', onWarning: () => {} });
  try {
    await tried('progress', () => crew.drain(progressMs));
    await tried('progress', () => untilDrained(shared));
    await tried('progress', () => crew.end(progressMs));
    await tried('nothing is left', () => untilNothingIsLeft(shared));
    return await readAll(shared, readHistory(crew.logs).calls);
  } finally {
    await shared.close();
  }
}

async function untilDrained(shared: Lockstep): Promise<void> {
  let size = '';
  const isDrained = async (): Promise<boolean> => {
    const { ready, delayed, leased, dead } = await shared.queue(queueName).size();
    size = `${ready} ready, ${delayed} delayed, ${leased} leased, ${dead} dead`;
    return ready + delayed + leased + dead === 0;
  };
  await until('all messages are handled', isDrained, progressMs).catch((cause: unknown) => {
    throw new Error(`messages are not handled: ${size}`, { cause });
  });
}

async function untilNothingIsLeft(shared: Lockstep): Promise<void> {
  const noLock = async (): Promise<boolean> => {
    for await (const _ of shared.locks()) return false;
    return true;
  };
  await until('no lock is held', noLock, progressMs);
  await until('only this session is there', async () => (await shared.sessions()).length === 1, progressMs);
}

/** Reads everything that clients wrote: what was acknowledged must be there. */
async function readAll(shared: Lockstep, calls: readonly Recorded[]): Promise<Finish> {
  const reads: Recorded[] = [];
  for (const thing of new Set(calls.map((call) => call.thing))) {
    const [kind, name = ''] = thing.split(':');
    const start = nowMs();
    if (kind === 'counter') reads.push(read(thing, { do: 'get' }, start, await shared.counter(name).get()));
    if (kind !== 'register') continue;
    const [map = '', ...entry] = name.split('.');
    reads.push(read(thing, { do: 'read' }, start, (await shared.map<number>(map).get(entry.join('.'))) ?? null));
  }
  const effects = new Map<string, number>();
  for await (const [message, times] of shared.map<number>('effects')) effects.set(message, times);
  const lists = new Map<string, number[]>();
  for await (const [name, list] of shared.map<number[]>('lists')) lists.set(name, list);
  const money = await shared.map<number>('accounts').getAll(accounts);
  return { end: { effects, lists, accounts: [...money.values()] }, calls: reads };
}

function read(thing: string, input: unknown, start: number, output: unknown): Recorded {
  const times = { start, end: nowMs(), validAt: start, releasedAt: Infinity };
  return { client: 'the end', thing, input, output, outcome: 'ok', tried: undefined, ...times };
}

function summaryOf(calls: readonly Recorded[], judgement: Judgement): string {
  const count = (outcome: Recorded['outcome']): number => calls.filter((call) => call.outcome === outcome).length;
  const checked = `${judgement.histories} histories of ${judgement.calls} calls checked`;
  const undecided = judgement.undecided.length === 0 ? '' : `, undecided: ${judgement.undecided.join(', ')}`;
  return `${count('ok')} calls done, ${count('no')} refused, ${count('unknown')} unknown; ${checked}${undecided}`;
}

/** The histories stay where something was found, with what it was. */
function writeReport(directory: string, seed: number, problems: readonly Problem[]): void {
  if (problems.length === 0) {
    rmSync(directory, { recursive: true, force: true });
    return;
  }
  const texts = problems.map(({ promise, text }) => `${promise}: ${text}`);
  writeFileSync(join(directory, 'problems.txt'), `seed ${seed}\n\n${texts.join('\n\n')}\n`);
  for (const [i, { page }] of problems.entries()) {
    if (page !== undefined) writeFileSync(join(directory, `problem-${i + 1}.html`), page);
  }
}
