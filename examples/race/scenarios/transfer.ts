import type { Lease, Lockstep, SharedMap } from '../../../src/index.ts';
import type { Events, HalfDone, Scenario } from '../scenario.ts';

const names: readonly string[] = Array.from({ length: 10 }, (_, i) => `account:${i}`);
const startBalance = 1_000;
/** On Redis, what a killed process held is free after so long; in a directory at once. */
const ttl = '3s';

/** Money goes to and fro between ten accounts. There must be as much of it in the end. */
export const transfer: Scenario = {
  name: 'transfer',

  unsafe: {
    how: 'get, then set',
    async prepare(shared) {
      for (const name of names) await balances(shared).set(name, startBalance);
    },
    task: (shared) => async () => {
      const { from, to, amount } = anyTransfer();
      const giver = (await balances(shared).get(from)) ?? 0;
      const taker = (await balances(shared).get(to)) ?? 0;
      if (giver < amount) return 0;
      await balances(shared).set(from, giver - amount); // both may have changed in between
      await balances(shared).set(to, taker + amount);
      return 1;
    },
    async audit(shared) {
      let sum = 0;
      for await (const balance of balances(shared).values()) sum += balance;
      return { money: sum - names.length * startBalance };
    },
  },

  safe: {
    how: 'lockAll, guard',
    async prepare(shared) {
      const fresh: Account = { balance: startBalance, transfers: 0, sending: null, received: {} };
      for (const name of names) await accounts(shared).set(name, fresh);
    },
    task: (shared, _, events) => async () => {
      const { from, to, amount } = anyTransfer();
      return (await pay(shared, from, to, amount, events)) ? 1 : 0;
    },
    async audit(shared, updates) {
      const all = new Map<string, Account>();
      for await (const [name, account] of accounts(shared)) all.set(name, account);
      let sum = 0;
      let transfers = 0;
      for (const [name, account] of all) {
        const { sending } = account;
        sum += account.balance;
        transfers += account.transfers;
        if (sending !== null && !hasArrived(all.get(sending.to)!, name, account)) sum += sending.amount; // on its way
      }
      // Where a process was killed there may be more transfers than it lived to tell of.
      return { lostUpdates: Math.max(0, updates - transfers), money: sum - names.length * startBalance };
    },
  },
};

/**
 * A lock keeps others away; it does not make two writes one. A process can die between them, so the first write says
 * what the second is to be, and whoever has the account next makes sure of it.
 */
interface Account {
  readonly balance: number;
  /** How many went out. */
  readonly transfers: number;
  /** The last one that went out, while it is not certain that it has arrived. */
  readonly sending: { readonly to: string; readonly amount: number } | null;
  /** By giver: the number of its last transfer that has arrived here. */
  readonly received: Readonly<Record<string, number>>;
}

async function pay(shared: Lockstep, from: string, to: string, amount: number, events: Events): Promise<boolean> {
  for (;;) {
    const { leases, release } = await shared.lockAll([from, to], { ttl });
    const [givers, takers] = leases as [Lease, Lease];
    let unfinished: HalfDone;
    try {
      const giver = await read(shared, from);
      if (giver.sending === null) {
        if (giver.balance < amount) return false;
        const { balance, transfers } = giver;
        const sent = { ...giver, balance: balance - amount, transfers: transfers + 1, sending: { to, amount } };
        await accounts(shared).set(from, sent, { guard: givers });
        await events.halfway({ from, to, amount });
        await arrive(shared, givers, takers);
        return true;
      }
      unfinished = { from, ...giver.sending };
    } finally {
      await release();
    }
    events.found(unfinished);
    await finish(shared, unfinished); // whoever began it is dead
  }
}

async function finish(shared: Lockstep, { from, to }: HalfDone): Promise<void> {
  const { leases, release } = await shared.lockAll([from, to], { ttl });
  const [givers, takers] = leases as [Lease, Lease];
  try {
    await arrive(shared, givers, takers);
  } finally {
    await release();
  }
}

/** The second half. Done twice, it does no more than once. */
async function arrive(shared: Lockstep, givers: Lease, takers: Lease): Promise<void> {
  const [from, to] = [givers.lock, takers.lock];
  const giver = await read(shared, from);
  const taker = await read(shared, to);
  if (giver.sending?.to !== to) return;
  if (!hasArrived(taker, from, giver)) {
    const balance = taker.balance + giver.sending.amount;
    const received = { ...taker.received, [from]: giver.transfers };
    await accounts(shared).set(to, { ...taker, balance, received }, { guard: takers });
  }
  await accounts(shared).set(from, { ...giver, sending: null }, { guard: givers });
}

function hasArrived(taker: Account, from: string, giver: Account): boolean {
  return taker.received[from] === giver.transfers;
}

async function read(shared: Lockstep, name: string): Promise<Account> {
  return (await accounts(shared).get(name))!;
}

function accounts(shared: Lockstep): SharedMap<Account> {
  return shared.map<Account>('accounts');
}

function balances(shared: Lockstep): SharedMap<number> {
  return shared.map<number>('balances');
}

function anyTransfer(): HalfDone {
  const from = Math.floor(Math.random() * names.length);
  const to = (from + 1 + Math.floor(Math.random() * (names.length - 1))) % names.length;
  return { from: names[from]!, to: names[to]!, amount: 1 + Math.floor(Math.random() * 100) };
}
