import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { open } from '../../src/index.ts';
import { openBareClient } from './bare-transfers.ts';
import { nowMs } from './clock.ts';
import { patiently } from './counting.ts';

/** Ways to move money from one account to another. */
export type TransferrerName = 'lockstep on Redis' | 'bare client' | 'WATCH' | 'lockstep' | 'sqlite';

export interface TransferPlan {
  readonly tasks: number;
  readonly accounts: number;
  readonly startMs: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface Transferred {
  /** Transfers that were done between `fromMs` and `untilMs`, and how long each took: ms. */
  readonly tookMs: Float64Array;
}

/** What one task has. */
export interface Account {
  transfer(from: number, to: number, amount: number): Promise<void>;
}

/** One process's way to the accounts. */
export interface Bank {
  task(): Promise<Account>;
  /** Gives each account 1,000. */
  fill(accounts: number): Promise<void>;
  sum(accounts: number): Promise<number>;
  close(): Promise<void>;
}

export interface BankPlace {
  readonly directory: string;
  readonly redisPath: string;
  readonly name: string;
}

export async function openBank(name: TransferrerName, place: BankPlace): Promise<Bank> {
  if (name === 'WATCH') return openWatch(place);
  if (name === 'bare client') return openBareClient(place);
  if (name === 'sqlite') return openSqlite(place);
  return openLockstep(name === 'lockstep' ? join(place.directory, 'lockstep') : `redis+unix:${place.redisPath}`, place);
}

/** Transfers until the plan is over: one process's part. */
export async function transfer(bank: Bank, plan: TransferPlan): Promise<Transferred> {
  const tookMs: number[] = [];

  async function run(account: Account): Promise<void> {
    for (;;) {
      const from = Math.floor(Math.random() * plan.accounts);
      const to = (from + 1 + Math.floor(Math.random() * (plan.accounts - 1))) % plan.accounts;
      const beganMs = nowMs();
      await account.transfer(from, to, 1);
      const now = nowMs();
      if (now >= plan.fromMs && now < plan.untilMs) tookMs.push(now - beganMs);
      if (now >= plan.untilMs) return;
    }
  }

  const accounts = await Promise.all(Array.from({ length: plan.tasks }, () => bank.task()));
  await sleep(Math.max(0, plan.startMs - nowMs()));
  await Promise.all(accounts.map(run));
  return { tookMs: Float64Array.from(tookMs) };
}

async function openLockstep(where: string, { name }: BankPlace): Promise<Bank> {
  const shared = await open(where, { onWarning: () => {} });
  const transferring: Account = {
    transfer: (from, to, amount) =>
      shared.transaction(async (tx) => {
        const accounts = tx.map<number>(name);
        const [a = 0, b = 0] = await Promise.all([accounts.get(String(from)), accounts.get(String(to))]);
        await accounts.set(String(from), a - amount);
        await accounts.set(String(to), b + amount);
      }),
  };
  const accounts = shared.map<number>(name);
  return {
    task: () => Promise.resolve(transferring),
    async fill(count) {
      for (let i = 0; i < count; i++) await accounts.set(String(i), 1_000);
    },
    async sum() {
      let sum = 0;
      for await (const value of accounts.values()) sum += value;
      return sum;
    },
    close: () => shared.close(),
  };
}

/** As Redis's own manual says: a connection a task, as WATCH belongs to a connection. */
async function openWatch({ redisPath, name }: BankPlace): Promise<Bank> {
  const clients: Redis[] = [];
  const connect = (): Redis => {
    const client = new Redis(redisPath);
    clients.push(client);
    return client;
  };
  const main = connect();
  const key = (i: number): string => `${name}:${i}`;
  return {
    async task() {
      const client = connect();
      await client.ping();
      return {
        async transfer(from, to, amount) {
          for (;;) {
            await client.watch(key(from), key(to));
            const [a, b] = await client.mget(key(from), key(to));
            const done = await client
              .multi()
              .set(key(from), Number(a) - amount)
              .set(key(to), Number(b) + amount)
              .exec();
            if (done !== null) return;
          }
        },
      };
    },
    async fill(count) {
      for (let i = 0; i < count; i++) await main.set(key(i), 1_000);
    },
    async sum(count) {
      const values = await main.mget(Array.from({ length: count }, (_, i) => key(i)));
      return values.reduce((sum, value) => sum + Number(value), 0);
    },
    async close() {
      for (const client of clients) client.disconnect();
    },
  };
}

/** What one would write by hand on `node:sqlite`, with the same settings as lockstep's, and a fair way to wait. */
function openSqlite({ directory, name }: BankPlace): Bank {
  const database = new DatabaseSync(join(directory, 'accounts.db'));
  patiently(() => database.exec('PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL'));
  patiently(() =>
    database.exec('CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID'),
  );
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const get = database.prepare('SELECT value FROM accounts WHERE name = ?');
  const set = database.prepare('UPDATE accounts SET value = ? WHERE name = ?');
  const put = database.prepare('INSERT OR REPLACE INTO accounts VALUES (?, ?)');
  const read = (i: number): number => (get.get(`${name}:${i}`) as { value: number }).value;
  let inThisTurn = 0;
  const transferring: Account = {
    async transfer(from, to, amount) {
      inThisTurn += 1;
      if (inThisTurn % 64 === 0) await turn(); // a server has other things to do, too
      patiently(() => begin.run());
      const [a, b] = [read(from), read(to)];
      set.run(a - amount, `${name}:${from}`);
      set.run(b + amount, `${name}:${to}`);
      patiently(() => commit.run());
    },
  };
  return {
    task: () => Promise.resolve(transferring),
    async fill(count) {
      for (let i = 0; i < count; i++) patiently(() => put.run(`${name}:${i}`, 1_000));
    },
    async sum(count) {
      return Array.from({ length: count }, (_, i) => read(i)).reduce((a, b) => a + b, 0);
    },
    close: async () => database.close(),
  };
}
