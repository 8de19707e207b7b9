import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LockInspection, open, type SessionInfo } from '../index.ts';
import { parse, placeOptions, spaceOption, UsageError, warn } from './arguments.ts';
import { exitCodes } from './exit-codes.ts';

export const psHelp = `lockstep ps [options]

Lists the locks that are held, who holds them and who waits for them in order, and the sessions of a space.

  --at DIR        the directory of the state, or redis://host (default: ./.lockstep)
  --space NAME    the space in it (default: default)
  --json          for machines: { space, locks, sessions }
`;

/** Shows locks, holders, waiters and sessions. Resolves to the exit code. */
export async function ps(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(argv, { ...placeOptions, json: { type: 'boolean', default: false } });
  if (positionals.length > 0) throw new UsageError(`${JSON.stringify(positionals[0])} is too much`);
  const { at = './.lockstep', space = 'default', json } = values;
  const missing = missingAt(at);
  if (missing !== undefined) {
    process.stderr.write(`lockstep: there is no ${missing}: name the directory with --at\n`);
    return exitCodes.unavailable;
  }

  const { locks, sessions } = await look(at, space);
  const text = json ? JSON.stringify({ space, locks, sessions }, undefined, 2) : inWords(space, locks, sessions);
  process.stdout.write(`${text}\n`);
  return 0;
}

/** To look must not make what is looked for: `open` would create the directory, and the database in it. */
function missingAt(at: string): string | undefined {
  let directory = at;
  if (at.startsWith('file:')) directory = at.startsWith('file:/') ? fileURLToPath(at) : at.slice('file:'.length);
  else if (/^[a-z][a-z0-9+.-]+:/i.test(at)) return undefined; // a server, or for `open` to refuse
  if (!existsSync(directory)) return at;
  return existsSync(join(directory, 'lockstep.db')) ? undefined : `lockstep.db in ${at}`;
}

async function look(at: string, space: string): Promise<{ locks: LockInspection[]; sessions: SessionInfo[] }> {
  const shared = await open(at, { ...spaceOption(space), label: 'ps', onWarning: warn });
  try {
    const locks: LockInspection[] = [];
    for await (const lock of shared.locks()) locks.push(lock);
    locks.sort((a, b) => (a.name < b.name ? -1 : 1));
    const sessions = (await shared.sessions()).filter(({ id }) => id !== shared.session.id);
    return { locks, sessions };
  } finally {
    await shared.close();
  }
}

function inWords(space: string, locks: readonly LockInspection[], sessions: readonly SessionInfo[]): string {
  const nowMs = Date.now();
  const held = locks.flatMap((lock) => rowsOf(lock, nowMs));
  const here = sessions.map((session) => [...whoOf(session), age(nowMs - session.since)]);
  return [
    held.length === 0
      ? `no lock is held in space ${plain(space)}`
      : table([['LOCK', 'WHO', 'PID', 'HOST', 'FOR', 'LEASE', 'FENCE'], ...held]),
    here.length === 0 ? 'no session is open' : table([['SESSION', 'PID', 'HOST', 'FOR'], ...here]),
  ].join('\n\n');
}

/** The holder's row, and one for each who waits. */
function rowsOf({ name, holder, waiters }: LockInspection, nowMs: number): string[][] {
  const rows: string[][] = [];
  if (holder !== undefined) {
    const lease = holder.remainingMs < 0 ? 'no end' : age(holder.remainingMs);
    const since = holder.since === 0 ? '' : age(nowMs - holder.since);
    const fence = holder.fence === 0 ? '' : String(holder.fence);
    rows.push([plain(name), ...whoOf(holder.session), since, lease, fence]);
  }
  for (const { session, since } of waiters) rows.push(['  waits', ...whoOf(session), age(nowMs - since), '', '']);
  return rows;
}

function whoOf({ id, label, pid, thread, host }: SessionInfo): string[] {
  if (pid === 0) return [plain(id), '', ''];
  return [plain(label === '' ? id : label), thread === 0 ? String(pid) : `${pid}:${thread}`, plain(host)];
}

/** Names and labels are other people's text: nothing in them may move the cursor. */
function plain(text: string): string {
  return text.replace(/\p{C}/gu, '?');
}

function age(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)}s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)}m${Math.floor((ms % 60_000) / 1_000)}s`;
  return `${Math.floor(ms / 3_600_000)}h${Math.floor((ms % 3_600_000) / 60_000)}m`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
