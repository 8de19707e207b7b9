import { LockstepError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import { operationScripts, type Script, type Scripts } from './scripts.ts';

/**
 * Sends a script to a server with its keys and arguments: by its name, and with its text where the server does not know
 * it yet. Replies are integers as numbers, texts, and arrays of them.
 */
export type SendScript = (script: Script, keys: number, keysAndArguments: readonly string[]) => Promise<unknown>;

/**
 * Runs operations as scripts in a Redis server, one round trip each. Rejects with `WRONG_KIND` where a key holds another
 * type; with the client's own error otherwise.
 */
export function redisRunner(send: SendScript, scripts: Scripts = operationScripts()): Pick<Engine, 'run' | 'runBatch'> {
  async function call(name: string, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await send(scripts.of(name), keys.length, [...keys, ...args]);
    } catch (error) {
      throw says(error, 'WRONGTYPE') ? wrongKind(name, keys, error) : error;
    }
  }

  return {
    run(operation, keys, args) {
      const orderedKeys = operation.keys.map((key) => keys[key] as string);
      const orderedArgs = Object.keys(operation.args).map((arg) => String(args[arg as keyof typeof args]));
      return call(operation.name, orderedKeys, orderedArgs) as Promise<never>;
    },
    runBatch: (operation, keys, args) => call(operation.name, keys, args) as Promise<never>,
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
