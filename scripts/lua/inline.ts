/**
 * Puts what a verb of tx.lua does in the place of its call, where that is one line: a server makes each function of a
 * script anew whenever it runs, and that was a third of what a step cost it.
 */
export function inlined(body: string, prelude: string): string {
  const verbs = new Map<string, Verb>();
  const simple = /^function tx:(\w+)\(([\w, ]*)\)\n {2}(?:return )?(.+)\nend$/gm;
  for (const [, name, parameters, expression] of prelude.matchAll(simple)) {
    verbs.set(name!, { parameters: parameters!.split(', '), expression: expression! });
  }
  return withVerbs(body, verbs, true);
}

/** `statements`: the text begins where a statement may. */
function withVerbs(body: string, verbs: ReadonlyMap<string, Verb>, statements: boolean): string {
  let done = '';
  let rest = body;
  for (;;) {
    const call = /\btx:(\w+)\(/.exec(rest);
    if (call === null) return done + rest;
    const before = done + rest.slice(0, call.index);
    const end = closing(rest, call.index + call[0].length);
    const verb = verbs.get(call[1]!);
    const given = argumentsOf(rest.slice(call.index + call[0].length, end)).map((one) => withVerbs(one, verbs, false));
    const statement = isStatement(before) && (statements || before.trim() !== '');
    const text = verb === undefined ? undefined : replaced(verb, given, statement);
    done = before + (text ?? `${call[0]}${given.join(', ')})`);
    rest = rest.slice(end + 1);
  }
}

interface Verb {
  readonly parameters: readonly string[];
  readonly expression: string;
}

/** Undefined where the call must stay. */
function replaced({ parameters, expression }: Verb, given: readonly string[], statement: boolean): string | undefined {
  const opens = expression.indexOf('(') + 1;
  const isCall = opens > 0 && closing(expression, opens) === expression.length - 1;
  if (statement && !isCall) return undefined; // Lua has no statements but calls
  let text = expression;
  for (const [i, parameter] of parameters.entries()) {
    const use = new RegExp(String.raw`(?<![\w.'@])${parameter}(?![\w'@])`, 'g');
    const argument = given[i]!;
    if (text.match(use)!.length > 1 && !isPlain(argument)) return undefined; // it would be computed twice
    text = text.replaceAll(use, `@${i}@`);
  }
  // Redis takes 9 times as long to make text of a number as to take the text.
  text = text.replaceAll(/(?<=, )(?:digits\(@(\d+)@(?: \+ 0)?\)|@(\d+)@)(?=[,)])/g, (whole, i: string, j: string) => {
    const argument = given[Number(i ?? j)]!;
    return /^-?\d+$/.test(argument) ? `'${argument}'` : whole;
  });
  text = text.replaceAll(/(?<=[(,] ?)@(\d+)@(?=[,)])/g, (_, i: string) => given[Number(i)]!);
  text = text.replaceAll(/@(\d+)@/g, (_, i: string) =>
    isPlain(given[Number(i)]!) ? given[Number(i)]! : `(${given[Number(i)]!})`,
  );
  return isCall || expression.endsWith('[1]') ? text : `(${text})`;
}

/** A name, a field of one, a number or a text. */
function isPlain(argument: string): boolean {
  return /^(?:[\w.]+|"[^"\\]*")$/.test(argument);
}

/** Where the parenthesis ends that was opened just before `from`. */
function closing(text: string, from: number): number {
  for (const { at, depth } of marks(text, from)) if (depth < 0) return at;
  throw new Error(`an open parenthesis in ${text.slice(Math.max(0, from - 80), from + 80)}`);
}

function argumentsOf(text: string): string[] {
  const found: string[] = [];
  let from = 0;
  for (const { at, depth } of marks(text, 0)) {
    if (depth > 0 || text[at] !== ',') continue;
    found.push(text.slice(from, at).trim());
    from = at + 1;
  }
  const last = text.slice(from).trim();
  return last === '' ? found : [...found, last];
}

/** Parentheses and commas outside of strings, with how many parentheses are open after them. */
function* marks(text: string, from: number): Generator<{ at: number; depth: number }> {
  let depth = 0;
  const tokens = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[()[\]{},]/g;
  tokens.lastIndex = from;
  for (let token = tokens.exec(text); token !== null; token = tokens.exec(text)) {
    if ('({['.includes(token[0])) depth += 1;
    else if (')}]'.includes(token[0])) depth -= 1;
    else if (token[0] !== ',') continue;
    yield { at: token.index, depth };
  }
}

/** Whether what follows is a statement of its own, not a part of an expression. */
function isStatement(before: string): boolean {
  const text = before.trimEnd();
  if (/[=(,{[+\-*/<>.~%^]$/.test(text)) return false;
  return !/\b(?:return|and|or|not|if|elseif|while|until|in)$/.test(text);
}
