import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';

/** What `programs/contender.ts` wrote down. */
export interface Entry {
  readonly fence: number;
  readonly session: string;
  readonly atMs: number;
  readonly waitedMs: number;
  /** What the change made of the values, if it was acknowledged. */
  done?: { readonly guarded: number; readonly plain: number };
}

/** What the values were when everybody had ended. */
export interface Totals {
  readonly guarded: number;
  readonly plain: number;
  readonly sections: number;
}

export function readHistory(log: string): Entry[] {
  return parseHistory(readFileSync(log, 'utf8'));
}

/** The session that entered last. */
export function insideNow(log: string): string | undefined {
  const file = openSync(log, 'r');
  const bytes = Buffer.alloc(1_024);
  const from = Math.max(0, fstatSync(file).size - bytes.length);
  const length = readSync(file, bytes, 0, bytes.length, from);
  closeSync(file);
  const lines = bytes.toString('latin1', 0, length).split('\n');
  return lines.findLast((line) => line.startsWith('enter '))?.split(' ')[2];
}

/** The entries, in order. Throws where two were inside at once: a line follows an entry that another one came after. */
export function parseHistory(text: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of text.trimEnd().split('\n')) {
    const [verb, fence, session = '', ...rest] = line.split(' ');
    const [first = NaN, second = NaN] = rest.map(Number);
    if (verb === 'enter') entries.push({ fence: Number(fence), session, atMs: first, waitedMs: second });
    else {
      const inside = entries.at(-1);
      if (inside?.fence !== Number(fence) || inside.session !== session || inside.done !== undefined) {
        throw new Error(`two were inside at once: after fence ${inside?.fence} came ${line}`);
      }
      inside.done = { guarded: first, plain: second };
    }
  }
  return entries;
}

/**
 * Everything that mutual exclusion promises, where those in `dead` died at some moment: all that is wrong, in words.
 * A change that was not acknowledged, as its process died, may have been made or not.
 */
export function faultsOf(entries: readonly Entry[], dead: ReadonlySet<string>, totals: Totals): string[] {
  const faults: string[] = [];
  let fence = 0;
  let last = { guarded: 0, plain: 0 };
  let open = 0;
  for (const entry of entries) {
    if (entry.fence <= fence) faults.push(`fence ${entry.fence} came after ${fence}`);
    fence = entry.fence;
    if (entry.done === undefined) {
      if (!dead.has(entry.session)) faults.push(`${entry.session} lives and never left (fence ${fence})`);
      open += 1;
      continue;
    }
    for (const name of ['guarded', 'plain'] as const) {
      const by = entry.done[name] - last[name];
      if (by < 1 || by > 1 + open)
        faults.push(`${name} went from ${last[name]} to ${entry.done[name]} (fence ${fence})`);
    }
    last = entry.done;
    open = 0;
  }
  const acknowledged = entries.filter((entry) => entry.done !== undefined).length;
  for (const name of ['guarded', 'plain', 'sections'] as const) {
    const total = totals[name];
    if (total < acknowledged || total > entries.length) {
      faults.push(`${name} is ${total} after ${acknowledged} acknowledged changes of ${entries.length}`);
    }
  }
  return faults;
}

/** How long it took from the death of a session inside the section to the next entry: ms. */
export function takeOvers(entries: readonly Entry[], diedMs: ReadonlyMap<string, number>): number[] {
  const found: number[] = [];
  for (const [i, entry] of entries.entries()) {
    const died = diedMs.get(entry.session);
    const next = entries[i + 1];
    if (entry.done === undefined && died !== undefined && next !== undefined) found.push(next.atMs - died);
  }
  return found;
}

/** The longest time between two entries, and between whom. */
export function longestPause(entries: readonly Entry[]): string {
  let longest = { ms: 0, text: 'none' };
  for (const [i, entry] of entries.entries()) {
    const next = entries[i + 1];
    const ms = (next?.atMs ?? 0) - entry.atMs;
    if (next === undefined || ms <= longest.ms) continue;
    const left = entry.done === undefined ? ', which never left' : '';
    longest = { ms, text: `${ms.toFixed(1)} ms, from ${entry.session}${left} to ${next.session}` };
  }
  return longest.text;
}

/** `50 % 1.2 ms, 99 % 8.1 ms, worst 9.0 ms of 30`. */
export function spread(ms: readonly number[]): string {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.ceil(share * sorted.length) - 1] ?? NaN).toFixed(1);
  return `50 % ${at(0.5)} ms, 99 % ${at(0.99)} ms, worst ${at(1)} ms of ${sorted.length}`;
}
