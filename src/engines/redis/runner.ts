import { LockstepError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import { operationScripts, type Script, type Scripts } from './scripts.ts';

/**
 * Sends a script to a server with `words`: how many keys there are, the keys, the arguments. By its name, and with its text
 * where the server does not know it yet. Replies are integers as numbers, texts, and arrays of them.
 */
export type SendScript = (script: Script, words: string[]) => Promise<unknown>;

/**
 * Runs operations as scripts in a Redis server, one round trip each. Rejects with `WRONG_KIND` where a key holds another
 * type; otherwise with the client's own error, `explained`.
 */
export function redisRunner(
  send: SendScript,
  scripts: Scripts = operationScripts(),
  explained: (error: unknown) => unknown = (error) => error,
): Pick<Engine, 'run' | 'runBatch'> {
  function call(name: string, words: string[]): Promise<unknown> {
    return send(scripts.of(name), words).catch((error: unknown) => {
      throw says(error, 'WRONGTYPE') ? wrongKind(name, words.slice(1, 1 + Number(words[0])), error) : explained(error);
    });
  }

  const names = new Map<string, readonly string[]>();

  function namesOf({ name, args }: { readonly name: string; readonly args: object }): readonly string[] {
    let known = names.get(name);
    if (known === undefined) names.set(name, (known = Object.keys(args)));
    return known;
  }

  return {
    run(operation, keys, args) {
      const words = [String(operation.keys.length)];
      for (const key of operation.keys) words.push(keys[key] as string);
      for (const arg of namesOf(operation)) words.push(String(args[arg as keyof typeof args]));
      return call(operation.name, words) as Promise<never>;
    },
    runBatch: (operation, keys, args) =>
      call(operation.name, [String(keys.length), ...keys, ...args]) as Promise<never>,
  };
}

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
