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

/** Something that a script may need: a verb, a function of an operation's file, or what these use. */
interface Definition {
  readonly lua: string;
  /** What it needs itself: names of other definitions, among other words. */
  readonly words: ReadonlySet<string>;
  /** Declared before all: functions may call each other. */
  readonly declared?: string;
}

/** A script that is being written. */
interface Writing {
  readonly made: Set<string>;
  /** What is declared in front of all. */
  readonly declared: Set<string>;
  /** The functions whose statements are being written. */
  readonly within: ReadonlySet<string>;
}

interface Branch {
  /** The lines from `if` to `then`, or `else`. */
  readonly head: string;
  readonly statements: readonly string[];
}

/** What the keys or arguments of an operation are called, and where each comes from: `KEYS[1]`, `tonumber(ARGV[2])`. */
interface Given {
  readonly name: string;
  readonly fields: ReadonlyMap<string, string>;
}

/**
 * The scripts of a file such as operations.lua: one an operation, with what that one needs and nothing else, since a
 * server makes all functions and tables of a script anew each time that it runs. So verbs are functions that stand
 * alone, and what a step ends before is not made.
 */
export class Scripts {
  readonly #definitions: Map<string, Definition> = new Map();
  readonly #calls: Map<string, string> = new Map();
  readonly #scripts: Map<string, Script> = new Map();

  readonly #dressed: (text: string) => string;

  /** `dressed` may change each script. */
  constructor(lua: string, dressed: (text: string) => string = (text) => text) {
    this.#dressed = dressed;
    const sections = withoutTx(lua)
      .split(/^--==\[ ([\w.-]+) \]==\n/m)
      .slice(1);
    for (let i = 0; i < sections.length; i += 2) {
      const [name, text] = [sections[i]!, sections[i + 1]!.trim()];
      if (name.includes('.')) this.#calls.set(name, text);
      else for (const chunk of text.split(/\n\n+(?=\S)/)) this.#define(chunk);
    }
  }

  /** The script of an operation, by its name, with the values of its settings; 0 for those that are left out. */
  of(operation: string, settings?: Readonly<Record<string, number>>): Script {
    const id = settings === undefined ? operation : `${operation} ${Object.values(settings).join(' ')}`;
    const known = this.#scripts.get(id);
    if (known !== undefined) return known;
    const assembled = this.#assemble(this.#calls.get(operation)!);
    const text = this.#dressed(
      assembled.replaceAll(/\bSETTING\.(\w+)/g, (_, name: string) => String(settings?.[name] ?? 0)),
    );
    const needsTag = text.startsWith(wakeInSlot);
    const script = { text, sha: createHash('sha1').update(text).digest('hex'), needsTag };
    this.#scripts.set(id, script);
    return script;
  }

  operations(): string[] {
    return [...this.#calls.keys()];
  }

  #define(chunk: string): void {
    const code = chunk.replaceAll(/^\s*--.*\n/gm, '');
    const [, local, name] = /^(local )?(?:function )?(\w+)/.exec(code) ?? [];
    if (name === undefined || name === 'tx') return;
    this.#definitions.set(name, {
      lua: code,
      words: new Set(wordsOf(code)),
      ...(local === undefined ? { declared: name } : {}),
    });
  }

  #assemble(call: string): string {
    const declared = new Set<string>();
    const lines = this.#written(this.#statementsOf(call), indent, { made: new Set(), declared, within: new Set() });
    const head = declared.size === 0 ? [] : [`local ${[...declared].join(', ')}`];
    return [...head, ...lines].join('\n');
  }

  /**
   * The statements, each behind the functions that it is the first to need: those that only a branch needs stand in it. A
   * function that is called last of all stands there itself. So a step does not make what it ends before, or passes by.
   */
  #written(statements: readonly string[], depth: string, script: Writing): string[] {
    return statements.flatMap((statement) => {
      const branches = branchesOf(statement, depth);
      if (branches !== undefined) return this.#branched(branches, depth, script);
      const { name = '', given = '' } = lastCallOf(statement) ?? {};
      const called = script.made.has(name) || script.within.has(name) ? undefined : this.#functionOf(name);
      if (called === undefined || !endsStep(called.statements)) return [...this.#making(statement, script), statement];
      const parameters = given === '' ? [] : [`local ${called.parameters || '_'} = ${given}`];
      const within = new Set([...script.within, name]);
      return this.#written([...parameters, ...called.statements], indent, { ...script, within });
    });
  }

  #branched(branches: readonly Branch[], depth: string, script: Writing): string[] {
    const lines = this.#making(branches.map(({ head }) => head).join('\n'), script);
    // A variable must outlive a branch that does not end the step.
    const going = branches.filter(({ statements }) => !endsStep(statements)).flatMap(({ statements }) => statements);
    lines.push(...this.#making(going.join('\n'), script, isVariable));
    for (const { head, statements } of branches) {
      const own = { ...script, made: new Set(script.made) };
      lines.push(head, ...this.#written(statements, depth + indent, own));
    }
    return [...lines, `${depth}end`];
  }

  /** The definitions of what `text` needs that is not made yet, which it then is. */
  #making(
    text: string,
    { made, declared }: Writing,
    which: (definition: Definition) => boolean = () => true,
  ): string[] {
    const needed = new Set<string>();
    const need = (words: Iterable<string>): void => {
      for (const word of words) {
        const definition = this.#definitions.get(word);
        if (definition === undefined || made.has(word) || needed.has(word)) continue;
        needed.add(word);
        need(definition.words);
      }
    };
    need(wordsOf(text));
    const found = [...this.#definitions].filter(([name, definition]) => needed.has(name) && which(definition));
    for (const [name, definition] of found) {
      made.add(name);
      if (definition.declared !== undefined) declared.add(definition.declared);
    }
    const functions = found.filter(([, definition]) => definition.declared !== undefined);
    const others = found.filter(([, definition]) => definition.declared === undefined);
    return [...others, ...functions].map(([, definition]) => definition.lua);
  }

  /** A function of an operation's file. */
  #functionOf(name: string): { parameters: string; statements: string[] } | undefined {
    const [, parameters = '', body = ''] = functionText.exec(this.#definitions.get(name)?.lua.trim() ?? '') ?? [];
    return body.startsWith(indent) ? { parameters, statements: statementsIn(body, indent) } : undefined;
  }

  /** The lines that call a step, with its own statements in the place of the call. */
  #statementsOf(call: string): string[] {
    const [, before = '', name = '', keys = '', args = ''] = /^([^]*)return (\w+)\((\w+), (\w+)\)$/.exec(call) ?? [];
    const step = this.#functionOf(name);
    if (step === undefined) return [call];
    let { statements } = step;
    for (const [i, own] of step.parameters.split(', ').entries()) {
      const from = [keys, args][i]!;
      const fields = fieldsOf(from, before);
      if (fields !== undefined) statements = whenNeeded({ name: own, fields }, statements);
      else if (own !== from) statements.unshift(`local ${own} = ${from}`);
    }
    return statements;
  }
}

/** Of one level of the functions that are compiled. */
const indent = '    ';
const functionText = /^function \w+\(([\w, ]*)\)\n([^]*)\nend$/;

/** A statement begins where a line has the indent of the body, and does not go on with what is before it. */
function statementsIn(body: string, depth: string): string[] {
  return body.split(new RegExp(String.raw`\n(?=${depth}(?! |end\b|else|until\b|[)}\]]))`));
}

/** Of a statement that is an `if`. */
function branchesOf(statement: string, depth: string): Branch[] | undefined {
  if (!statement.startsWith(`${depth}if `)) return undefined;
  const parts = statement.split(new RegExp(String.raw`\n(?=${depth}(?:else|end\b))`));
  return parts.slice(0, -1).map((part) => {
    const [, head = '', body = ''] = /^([^]*?\b(?:then|else))(?:\n([^]*))?$/.exec(part) ?? [];
    return { head, statements: statementsIn(body, depth + indent) };
  });
}

function endsStep(statements: readonly string[]): boolean {
  return /^ *return\b/.test(statements.at(-1) ?? '');
}

/** Of `return name(given)`, and nothing after that. */
function lastCallOf(statement: string): { name: string; given: string } | undefined {
  const [, name = '', given] = /^ *return (\w+)\(([^]*)\)$/.exec(statement) ?? [];
  if (given === undefined) return undefined;
  let depth = 0;
  for (const [mark] of given.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '').matchAll(/[()]/g)) {
    depth += mark === '(' ? 1 : -1;
    if (depth < 0) return undefined;
  }
  return { name, given };
}

function isVariable({ lua }: Definition): boolean {
  return /^local (?!function )/.test(lua);
}

/** Verbs as functions that stand alone, and nothing hands them on. */
function withoutTx(lua: string): string {
  return lua.replaceAll(/\btx:(?=\w)/g, 'tx_').replaceAll(/(?<=\()\s*tx(?:,\s*|(?=\)))/g, '');
}

/** Of a table that is made as `local keys = {owner = KEYS[1]}`. */
function fieldsOf(name: string, before: string): Map<string, string> | undefined {
  const made = new RegExp(String.raw`^local ${name} = \{(.*)\}$`, 'm').exec(before);
  return made === null
    ? undefined
    : new Map(made[1]!.split(', ').map((field) => field.split(' = ') as [string, string]));
}

/**
 * Each field where it is used, a number in a variable; the whole table, which costs more, from where it is handed on as
 * such.
 */
function whenNeeded({ name, fields }: Given, statements: readonly string[]): string[] {
  const uses = new RegExp(String.raw`"(?:[^"\\]|\\.)*"|(?<![\w.])${name}\b(?:\.(\w+))?`, 'g');
  const found: string[] = [];
  const numbers = new Set<string>();
  let isWhole = false;
  for (const statement of statements) {
    const used = [...statement.matchAll(uses)].filter(([text]) => !text.startsWith('"')).map(([, field]) => field);
    if (!isWhole && used.includes(undefined)) {
      isWhole = true;
      found.push(`local ${name} = {${Array.from(fields, ([field, from]) => `${field} = ${from}`).join(', ')}}`);
    }
    for (const field of isWhole ? [] : used) {
      if (field === undefined || numbers.has(field) || !fields.get(field)!.startsWith('tonumber')) continue;
      numbers.add(field);
      found.push(`local ${name}_${field} = ${fields.get(field)!}`);
    }
    const inPlace = (text: string, field?: string): string => {
      if (field === undefined || isWhole) return text;
      return numbers.has(field) ? `${name}_${field}` : fields.get(field)!;
    };
    found.push(statement.replaceAll(uses, inPlace));
  }
  return found;
}

/** All that may be the name of a definition. */
function wordsOf(lua: string): Iterable<string> {
  return lua.match(/\w+/g) ?? [];
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
