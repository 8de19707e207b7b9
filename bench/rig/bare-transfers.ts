import { type RedisConnection, ask } from '../../src/engines/redis/client.ts';
import { operationScripts, type Script } from '../../src/engines/redis/scripts.ts';
import { socketClients } from '../../src/engines/redis/socket.ts';
import type { Bank, BankPlace } from './transferring.ts';

/** One transfer: what it read, by account, and what it writes there. */
interface Attempt {
  readonly reads: ReadonlyMap<string, string>;
  readonly writes: ReadonlyMap<string, string>;
}

/** What came of it: nothing where it is done, else what the accounts hold now. */
type Outcome = ReadonlyMap<string, string> | undefined;

/**
 * The least that a client can do who wants lockstep's guarantees: the same scripts over the same connection, the first reads
 * and the commits of all tasks of a turn in one step, fresh values with a refusal, and a promise for each read and commit.
 * Nothing that a library needs beside that: no time limits, no question about a lost reply, no turns of the tasks of a
 * process, no other things than one map, no check of what is given, no async context.
 */
export async function openBareClient({ redisPath, name }: BankPlace): Promise<Bank> {
  const connection = socketClients('redis', { path: redisPath }).connect(() => {});
  await connection.up;
  const scripts = operationScripts();
  const [commit, look] = [scripts.of('cells.commit'), scripts.of('cells.look')];
  for (const { text } of [commit, look]) await ask(connection, ['SCRIPT', 'LOAD', text]);
  const steps = new BareSteps(connection, name, commit, look);
  const transferring = {
    async transfer(from: number, to: number, amount: number) {
      let known: Outcome;
      do known = await steps.commit(await moved(steps, known, [String(from), String(to)], amount));
      while (known !== undefined);
    },
  };
  return {
    task: () => Promise.resolve(transferring),
    async fill(count) {
      await ask(connection, ['HSET', name, ...Array.from({ length: count }, (_, i) => [String(i), '1000']).flat()]);
    },
    async sum() {
      const values = (await ask(connection, ['HVALS', name])) as string[];
      return values.reduce((sum, value) => sum + Number(value), 0);
    },
    close: async () => connection.close(),
  };
}

async function moved(
  steps: BareSteps,
  known: Outcome,
  [from, to]: readonly [string, string],
  amount: number,
): Promise<Attempt> {
  const [a, b] =
    known === undefined ? await Promise.all([steps.look(from), steps.look(to)]) : [known.get(from)!, known.get(to)!];
  const reads = new Map([
    [from, a],
    [to, b],
  ]);
  const writes = new Map([
    [from, JSON.stringify((JSON.parse(a) as number) - amount)],
    [to, JSON.stringify((JSON.parse(b) as number) + amount)],
  ]);
  return { reads, writes };
}

interface Looking {
  readonly account: string;
  readonly resolve: (text: string) => void;
}

interface Committing {
  readonly attempt: Attempt;
  readonly resolve: (outcome: Outcome) => void;
}

class BareSteps {
  readonly #connection: RedisConnection;
  readonly #keys: readonly string[];
  readonly #commit: Script;
  readonly #look: Script;
  #looks: Looking[] = [];
  #commits: Committing[] = [];
  #scheduled = false;
  #ids = 0;

  constructor(connection: RedisConnection, name: string, commit: Script, look: Script) {
    this.#connection = connection;
    this.#keys = [name, `${name}:expiry`, `${name}:watchers`];
    this.#commit = commit;
    this.#look = look;
  }

  look(account: string): Promise<string> {
    return new Promise((resolve) => {
      this.#looks.push({ account, resolve });
      this.#schedule();
    });
  }

  commit(attempt: Attempt): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#commits.push({ attempt, resolve });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const [looks, commits] = [this.#looks, this.#commits];
    this.#looks = [];
    this.#commits = [];
    const cells = new Map<string, number>();
    for (const { attempt } of commits) for (const account of attempt.reads.keys()) enter(cells, account);
    const first = cells.size; // all cells before are of commits
    for (const { account } of looks) enter(cells, account);
    const words = this.#words(cells, commits, looks.length === 0 ? undefined : lowest(cells, looks, first));
    this.#connection.send(words, {
      resolve: (reply) => settle(reply as readonly (string | number)[], cells, commits, looks),
      reject: (error) => {
        throw error;
      },
    });
  }

  /** `from`: the first cell that is looked at. */
  #words(cells: ReadonlyMap<string, number>, commits: readonly Committing[], from: number | undefined): string[] {
    const things = ['1', 'hash', String(cells.size), ...cells.keys()];
    if (commits.length === 0) return ['EVALSHA', this.#look.sha, '3', ...this.#keys, ...things];
    this.#ids += 1;
    const own = [`${this.#keys[0]}:${process.pid}`, String(this.#ids)];
    const words = ['EVALSHA', this.#commit.sha, '5', 'bare:commits', 'bare:lock', ...this.#keys, ...own, ...things];
    let next = 0;
    for (const { attempt } of commits) {
      for (const [account, text] of attempt.reads) {
        const cell = cells.get(account)!;
        if (cell === next) next += 1;
        else words.push('@', String(cell));
        words.push('~', text, attempt.writes.get(account)!);
      }
      words.push(';');
    }
    if (from !== undefined) words.push('?', String(from));
    return words;
  }
}

function enter(cells: Map<string, number>, account: string): void {
  if (!cells.has(account)) cells.set(account, cells.size);
}

function lowest(cells: ReadonlyMap<string, number>, looks: readonly Looking[], most: number): number {
  return looks.reduce((lowestSoFar, { account }) => Math.min(lowestSoFar, cells.get(account)!), most);
}

function settle(
  reply: readonly (string | number)[],
  cells: ReadonlyMap<string, number>,
  commits: readonly Committing[],
  looks: readonly Looking[],
): void {
  const before = reply.length - cells.size;
  const textOf = (account: string): string => String(reply[before + cells.get(account)!]);
  const outcomes = String(reply[1]).split(':');
  for (const [i, { attempt, resolve }] of commits.entries()) {
    if (outcomes[i + 1] === 'ok') resolve(undefined);
    else resolve(new Map(Array.from(attempt.reads.keys(), (account) => [account, textOf(account)])));
  }
  for (const { account, resolve } of looks) resolve(textOf(account));
}
