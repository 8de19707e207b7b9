import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { LockstepError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';

/** What is asked of a Redis client: an ioredis connection has it. Replies with integers as numbers, text as strings. */
export interface ScriptingClient {
  evalsha(sha: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>;
  eval(script: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>;
}

/**
 * Runs operations as scripts in a Redis server, one round trip each. Rejects with `WRONG_KIND` where a key holds another
 * type; with the client's own error otherwise.
 */
export function redisRunner(
  client: ScriptingClient,
  scripts: Scripts = operationScripts(),
): Pick<Engine, 'run' | 'runBatch'> {
  async function call(name: string, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const [file, operation] = name.split('.') as [string, string];
    const sha = scripts.shaOf(file);
    const rest = [...keys, operation, ...args];
    try {
      return await client.evalsha(sha, keys.length, ...rest).catch((error: unknown) => {
        if (!says(error, 'NOSCRIPT')) throw error;
        return client.eval(scripts.textOf(sha), keys.length, ...rest);
      });
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

/** The scripts of a file such as operations.lua, as a client names them. */
export class Scripts {
  readonly #shas: Map<string, string> = new Map();
  readonly #texts: Map<string, string> = new Map();

  constructor(lua: string) {
    for (const [file, text] of scriptsOf(lua)) {
      const sha = sha1(text);
      this.#shas.set(file, sha);
      this.#texts.set(sha, text);
    }
  }

  shaOf(file: string): string {
    return this.#shas.get(file)!;
  }

  textOf(sha: string): string {
    return this.#texts.get(sha)!;
  }

  texts(): string[] {
    return [...this.#texts.values()];
  }
}

/** The text of each script of a file such as operations.lua, by the name of its file of operations. */
export function scriptsOf(lua: string): Map<string, string> {
  const sections = lua.split(/^--==\[ (\w+) \]==\n/m).slice(1);
  const scripts = new Map<string, string>();
  for (let i = 0; i < sections.length; i += 2) scripts.set(sections[i]!, sections[i + 1]!.trim());
  return scripts;
}

/** The scripts that are published. */
export function operationScripts(): Scripts {
  return new Scripts(readFileSync(new URL('./operations.lua', import.meta.url), 'utf8'));
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
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
