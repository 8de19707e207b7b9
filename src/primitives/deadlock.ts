import type { Timer } from '../base/clock.ts';
import { LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import * as sessionOperations from '../operations/session.ts';
import type { Session, SessionInfo } from '../session/session.ts';
import type { HeldLease } from './lease.ts';
import type { LockLine } from './lock-line.ts';
import { parseOwner } from './owner.ts';

/** One edge of the wait-for graph: who holds `held` waits for `wanted`. */
export interface CycleStep {
  /** The lock that is held. */
  readonly held: string;
  readonly fence: number;
  /** ms since 1970. */
  readonly heldSince: number;
  readonly holder: SessionInfo;
  /** The lock that its holder waits for. */
  readonly wanted: string;
}

/** An edge as it stands in the store, beside the lock that is held. */
interface WaitRecord extends CycleStep {
  readonly wait: string;
  /** When the wait began: µs since 1970. */
  readonly since: number;
  readonly wantedOwner: string;
  readonly wantedWaits: string;
}

/** A lease that is held while waiting, perhaps through another `open`, and the line that granted it. */
export interface HeldWhileWaiting {
  readonly lease: HeldLease;
  readonly line: LockLine;
}

/**
 * Looks for a cycle of holders that wait for each other, once the wait has lasted `deadlockCheckMs`: publishes beside
 * each held lock what its holder waits for, and follows the chain from the wanted lock. A cycle that is seen twice in
 * the same state is a deadlock; the youngest wait of it calls `found`. The returned function ends the search.
 */
export function watchForDeadlock(
  session: Session,
  wanted: LockLine,
  held: readonly HeldWhileWaiting[],
  found: (error: LockstepError) => void,
): () => void {
  const wait = session.token(0);
  const since = session.clock.wallUs();
  const records = held.map(({ lease, line }) => ({
    lease,
    line,
    record: recordOf(line.session, wait, since, wanted, lease),
  }));
  let seen = '';
  let ended = false;
  let timer = again();

  function again(): Timer {
    return session.clock.timer(limits.deadlockCheckMs, () => session.inBackground(look()));
  }

  async function look(): Promise<void> {
    try {
      await check();
    } finally {
      if (!ended) timer = again(); // also when the store did not answer
    }
  }

  async function check(): Promise<void> {
    const live = records.filter(({ lease }) => lease.active);
    await Promise.all(live.map(({ line, record }) => publish(line, record)));
    const cycle = ended || live.length === 0 ? undefined : await findCycle(session, wanted, wait);
    if (ended) return;
    const state = cycle?.map((step) => `${step.wait} ${step.held} ${step.fence}`).join('\n') ?? '';
    if (cycle !== undefined && state === seen && isYoungest(cycle, wait, since)) {
      found(deadlock(wanted.name, cycle));
    }
    seen = state;
  }

  return () => {
    ended = true;
    timer.cancel();
    if (session.clock.wallUs() - since < limits.deadlockCheckMs * 1_000) return; // nothing was published yet
    for (const { line } of records) {
      const { engine } = line.session;
      session.inBackground(engine.run(sessionOperations.withdrawWait, { waits: line.keys.waits }, { wait }));
    }
  };
}

function recordOf(session: Session, wait: string, since: number, wanted: LockLine, lease: HeldLease): WaitRecord {
  return {
    wait,
    since,
    held: lease.lock,
    fence: lease.fence,
    heldSince: lease.since,
    holder: session.info,
    wanted: wanted.name,
    wantedOwner: wanted.keys.owner,
    wantedWaits: wanted.keys.waits,
  };
}

function publish(line: LockLine, record: WaitRecord): Promise<number> {
  const args = { wait: record.wait, record: JSON.stringify(record), ms: limits.waitRecordMs };
  return line.session.engine.run(sessionOperations.publishWait, { waits: line.keys.waits }, args);
}

/** The chain from the wanted lock back to `wait`, if there is one. Breadth first, bounded. */
async function findCycle(session: Session, wanted: LockLine, wait: string): Promise<WaitRecord[] | undefined> {
  const paths = [{ owner: wanted.keys.owner, waits: wanted.keys.waits, path: [] as WaitRecord[] }];
  const visited = new Set<string>();
  for (let next = paths.shift(); next !== undefined && visited.size < limits.deadlockChainMax; next = paths.shift()) {
    if (visited.has(next.owner)) continue;
    visited.add(next.owner);
    for (const record of await waitsOfHolder(session, next.owner, next.waits)) {
      const path = [...next.path, record];
      if (record.wait === wait) return path;
      paths.push({ owner: record.wantedOwner, waits: record.wantedWaits, path });
    }
  }
  return undefined;
}

/** What the holder of a lock waits for; records of earlier holders do not count. */
async function waitsOfHolder(session: Session, owner: string, waits: string): Promise<WaitRecord[]> {
  const [holder = '', ...texts] = await session.engine.run(sessionOperations.holderWaits, { owner, waits }, {});
  const holds = parseOwner(holder);
  if (holds === undefined) return [];
  const records = texts.map((text) => JSON.parse(text) as WaitRecord);
  return records.filter(
    ({ holder: by, fence }) =>
      by.id === holds.session && fence >= holds.fence && fence < holds.fence + limits.handOversInARow,
  );
}

function isYoungest(cycle: readonly WaitRecord[], wait: string, since: number): boolean {
  return cycle.every((step) => step.since < since || (step.since === since && step.wait <= wait));
}

function deadlock(wanted: string, cycle: readonly WaitRecord[]): LockstepError {
  const steps: CycleStep[] = cycle.map(({ held, fence, heldSince, holder, wanted: next }) => {
    return { held, fence, heldSince, holder, wanted: next };
  });
  const lines = steps.map(
    ({ held, fence, heldSince, holder, wanted: next }) =>
      `  ${quote(held)} (fence ${fence}, since ${new Date(heldSince).toISOString()}) is held by ${describe(holder)}, who waits for ${quote(next)}`,
  );
  return new LockstepError(
    'DEADLOCK',
    `waiting for lock ${quote(wanted)} can never end, since its holders wait for each other:\n${lines.join('\n')}\n` +
      'Take locks in one order everywhere, or together with lockAll. This wait was given up, as the youngest of the cycle.',
    { details: { lock: wanted, cycle: steps } },
  );
}

/** A session in words. */
export function describe(session: SessionInfo): string {
  const thread = session.thread === 0 ? '' : `, thread ${session.thread}`;
  return `${session.label === '' ? 'a session' : quote(session.label)} (pid ${session.pid} on ${session.host}${thread})`;
}

function quote(name: string): string {
  return JSON.stringify(name);
}
