import { LockstepError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import type { Explained } from './client.ts';
import { operationScripts, type Script, type Scripts } from './scripts.ts';

/**
 * Sends a script to a server with `words`: how many keys there are, the keys, the arguments. By its name, and with its text
 * where the server does not know it yet. Replies are integers as numbers, texts, and arrays of them. Rejects with what
 * `explained` makes of the client's error: a promise of each step for that alone would cost more.
 */
export type SendScript = (script: Script, words: string[], explained: Explained) => Promise<unknown>;

/**
 * Runs operations as scripts in a Redis server, one round trip each. Rejects with `WRONG_KIND` where a key holds another
 * type; otherwise with the client's own error, `explained`.
 */
export function redisRunner(
  send: SendScript,
  scripts: Scripts = operationScripts(),
  explained: Explained = (error) => error,
): Pick<Engine, 'run' | 'runBatch'> {
  function call(name: string, script: Script, words: string[]): Promise<unknown> {
    return send(script, words, (error) =>
      says(error, 'WRONGTYPE') ? wrongKind(name, words.slice(1, 1 + Number(words[0])), error) : explained(error),
    );
  }

  const ways = new Map<string, Way>();

  function wayOf(operation: Described): Way {
    let way = ways.get(operation.name);
    if (way === undefined) ways.set(operation.name, (way = describe(operation)));
    return way;
  }

  /** Set as `args` says. */
  function scriptOf(way: Way, args: Given): Script {
    const { settings, last } = way;
    if (last !== undefined && isSetAs(args, settings, last.values)) return last.script;
    const values = settings.map((setting) => Number(args[setting]));
    const script = scripts.of(way.name, Object.fromEntries(settings.map((setting, i) => [setting, values[i]!])));
    way.last = { values, script };
    return script;
  }

  return {
    run(operation, keys, args) {
      const way = wayOf(operation);
      const words = [String(operation.keys.length)];
      for (const key of operation.keys) words.push(keys[key] as string);
      for (const arg of way.sent) words.push(String(args[arg as keyof typeof args]));
      for (let i = way.sent.length - 1; i >= 0 && words.at(-1) === way.unsent[i]; i--) words.pop();
      return call(operation.name, scriptOf(way, args as Given), words) as Promise<never>;
    },
    runBatch: ({ name }, keys, args) =>
      call(name, scripts.of(name), [String(keys.length), ...keys, ...args]) as Promise<never>,
  };
}

type Given = Readonly<Record<string, string | number>>;

interface Described {
  readonly name: string;
  readonly args: Readonly<Record<string, string>>;
}

/** How an operation's arguments get to the server. */
interface Way {
  readonly name: string;
  readonly sent: readonly string[];
  /** Of each of them the word that is left out where no other follows it. */
  readonly unsent: readonly (string | undefined)[];
  /** In the script itself: one for each set of values. */
  readonly settings: readonly string[];
  /** Mostly all are set as they were the last time. */
  last: { readonly values: readonly number[]; readonly script: Script } | undefined;
}

function describe({ name, args }: Described): Way {
  const names = Object.keys(args);
  const sent = names.filter((arg) => args[arg] !== 'setting');
  return {
    name,
    sent,
    unsent: sent.map((arg) => leftOut.get(args[arg]!)),
    settings: names.filter((arg) => args[arg] === 'setting'),
    last: undefined,
  };
}

function isSetAs(args: Given, settings: readonly string[], values: readonly number[]): boolean {
  for (let i = 0; i < settings.length; i++) if (args[settings[i]!] !== values[i]) return false;
  return true;
}

const leftOut: ReadonlyMap<string, string> = new Map([
  ['integer?', '0'],
  ['text?', ''],
]);

function says(error: unknown, what: string): boolean {
  return error instanceof Error && error.message.includes(what);
}

function wrongKind(operation: string, keys: readonly string[], cause: unknown): LockstepError {
  return new LockstepError(
    'WRONG_KIND',
    `One of the keys ${keys.map((key) => JSON.stringify(key)).join(', ')} of ${operation} holds another type in ` +
      'Redis: another kind of thing, or another program, uses it. Choose another name, or delete the key.',
    { cause, details: { operation, keys } },
  );
}
