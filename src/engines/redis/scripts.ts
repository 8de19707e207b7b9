import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A script as a server gets it. */
export interface Script {
  readonly text: string;
  /** What EVALSHA calls it: the SHA-1 of its text, in hexadecimal. */
  readonly sha: string;
  /** Its last argument is to be the short hash tag of its slot, where mail of this slot is sent. */
  readonly needsTag: boolean;
}

/** Something that a script may need: a verb, or a function of an operation's file. */
interface Definition {
  readonly lua: string;
  /** What it needs itself: names of other definitions, among other words. */
  readonly words: ReadonlySet<string>;
  /** Declared before all: functions may call each other. Absent for a verb, which is a member of `tx`. */
  readonly declared?: string;
}

/**
 * The scripts of a file such as operations.lua: one an operation, with what that one needs and nothing else, since a
 * server makes all functions of a script anew each time that it runs.
 */
export class Scripts {
  readonly #definitions: Map<string, Definition> = new Map();
  readonly #calls: Map<string, string> = new Map();
  readonly #scripts: Map<string, Script> = new Map();

  readonly #dressed: (text: string) => string;

  /** `dressed` may change each script. */
  constructor(lua: string, dressed: (text: string) => string = (text) => text) {
    this.#dressed = dressed;
    const sections = lua.split(/^--==\[ ([\w.-]+) \]==\n/m).slice(1);
    for (let i = 0; i < sections.length; i += 2) {
      const [name, text] = [sections[i]!, sections[i + 1]!.trim()];
      if (name.includes('.')) this.#calls.set(name, text);
      else for (const chunk of text.split(/\n\n+(?=\S)/)) this.#define(chunk);
    }
  }

  /** The script of an operation, by its name. */
  of(operation: string): Script {
    const known = this.#scripts.get(operation);
    if (known !== undefined) return known;
    const text = this.#dressed(this.#assemble(this.#calls.get(operation)!));
    const needsTag = text.startsWith(wakeInSlot);
    const script = { text, sha: createHash('sha1').update(text).digest('hex'), needsTag };
    this.#scripts.set(operation, script);
    return script;
  }

  operations(): string[] {
    return [...this.#calls.keys()];
  }

  #define(chunk: string): void {
    const code = chunk.replaceAll(/^\s*--.*\n/gm, '');
    const [, local, name] = /^(local )?(?:function )?(?:tx:)?(\w+)/.exec(code) ?? [];
    if (name === undefined || name === 'tx') return;
    const isVerb = code.startsWith('function tx:');
    const stands = isVerb || local !== undefined;
    this.#definitions.set(isVerb ? `tx:${name}` : name, {
      lua: code,
      words: new Set(wordsOf(code)),
      ...(stands ? {} : { declared: name }),
    });
  }

  /** Each function stands before the first statement of the step that needs it: a step that ends early did not make it. */
  #assemble(call: string): string {
    const made = new Set<string>();
    const declared: string[] = [];
    const parts: string[] = [];
    for (const statement of this.#statementsOf(call)) {
      const needed = this.#neededBy(statement, made);
      const functions = needed.filter((part) => part.declared !== undefined);
      const others = needed.filter((part) => part.declared === undefined);
      declared.push(...functions.map((part) => part.declared!));
      parts.push(...[...others, ...functions].map(({ lua }) => lua), statement);
    }
    const head = declared.length === 0 ? [] : [`local ${declared.join(', ')}`];
    return ['local tx = {}', ...head, ...parts].join('\n');
  }

  /** What a statement needs that is not `made` yet, which it then is. */
  #neededBy(statement: string, made: Set<string>): Definition[] {
    const needed = new Set<string>();
    const need = (words: Iterable<string>): void => {
      for (const word of words) {
        const definition = this.#definitions.get(word);
        if (definition === undefined || made.has(word)) continue;
        made.add(word);
        needed.add(word);
        need(definition.words);
      }
    };
    need(wordsOf(statement));
    return [...this.#definitions].filter(([name]) => needed.has(name)).map(([, definition]) => definition);
  }

  /** The lines that call a step, with its own statements in the place of the call. */
  #statementsOf(call: string): string[] {
    const [, before = '', name = '', keys = '', args = ''] =
      /^([^]*)return (\w+)\(tx, (\w+), (\w+)\)$/.exec(call) ?? [];
    const step = /^function \w+\(([\w, ]+)\)\n([^]*)\nend$/.exec(this.#definitions.get(name)?.lua.trim() ?? '');
    if (step === null) return [call];
    const [, ownKeys = keys, ownArgs = args] = step[1]!.split(', ');
    const named = [
      ownKeys === keys ? '' : `local ${ownKeys} = ${keys}`,
      ownArgs === args ? '' : `local ${ownArgs} = ${args}`,
    ];
    // A statement begins where a line has the indent of the body, and does not go on with what is before it.
    return [before.trim(), ...named, ...step[2]!.split(/\n(?= {4}(?! |end\b|else|until\b|[)}\]]))/)].filter(
      (one) => one !== '',
    );
  }
}

/** All that may be the name of a definition. */
function wordsOf(lua: string): Iterable<string> {
  return lua.match(/(?:tx:)?\w+/g) ?? [];
}

/** The scripts that are published. */
export function operationScripts(): Scripts {
  return new Scripts(published());
}

/** The same for a cluster, where mail goes by the channel of a slot. */
export function clusterScripts(): Scripts {
  return new Scripts(published(), (text) =>
    text.includes(publish) ? `${wakeInSlot}\n${text.replaceAll(publish, 'wakeInSlot(')}` : text,
  );
}

function published(): string {
  return readFileSync(new URL('./operations.lua', import.meta.url), 'utf8');
}

const publish = "redis.call('PUBLISH', 'lockstep:' .. ";

/**
 * Only who listens at this very node is counted, and is to get it: after a failover somebody may still listen at the old
 * master, get what is sent at the new one, and not be counted, so that he would hold what the step has given to the next.
 * Hence the id of the node in the channel.
 */
const wakeInSlot = `local tag = table.remove(ARGV)
local function wakeInSlot(session, message)
  local node = redis.call('CLUSTER', 'MYID')
  return redis.call('SPUBLISH', 'lockstep:{' .. tag .. '}:' .. session .. ':' .. node, message)
end`;
