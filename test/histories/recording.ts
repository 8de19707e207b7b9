import type { Call } from './call.ts';
import type { RegisterInput, RegisterOutput, Value } from './models.ts';

/**
 * The calls of a recording of a register by Jepsen, one event a line: `… PROCESS :invoke|:ok|:fail|:info
 * :read|:write|:cas VALUE`, times being line numbers. A read whose result is not known proves nothing and is left out.
 */
export function parseRecording(text: string): Call<RegisterInput, RegisterOutput>[] {
  const calls: Call<RegisterInput, RegisterOutput>[] = [];
  /** What each process has under way. */
  const open = new Map<string, { input: RegisterInput; start: number }>();
  for (const [time, line] of text.split('\n').entries()) {
    const match = /(\S+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*\S)/.exec(line);
    if (match === null) {
      if (line.trim() !== '') throw new Error(`line ${time + 1} is no event of a register: ${line}`);
      continue;
    }
    const [, client = '', type = '', verb = '', value = ''] = match;
    if (type === 'invoke') {
      open.set(client, { input: inputOf(verb, value), start: time });
      continue;
    }
    const call = open.get(client);
    if (call === undefined) throw new Error(`line ${time + 1} ends what process ${client} did not begin: ${line}`);
    open.delete(client);
    const output = outputOf(type, verb, value);
    if (output !== undefined) calls.push({ client, ...call, output, end: time });
    else if (verb !== 'read') calls.push({ client, ...call, output, end: Infinity });
  }
  for (const [client, call] of open) {
    if (call.input.do !== 'read') calls.push({ client, ...call, output: undefined, end: Infinity });
  }
  return calls;
}

function inputOf(verb: string, value: string): RegisterInput {
  if (verb === 'read') return { do: 'read' };
  if (verb === 'write') return { do: 'write', value: valueOf(value) };
  const [from = '', to = ''] = value.replace(/[[\]]/g, '').split(/\s+/);
  return { do: 'cas', from: valueOf(from), to: valueOf(to) };
}

/** Nothing where it may have taken effect, at whatever time. */
function outputOf(type: string, verb: string, value: string): RegisterOutput | undefined {
  if (type === 'info' || value === ':timed-out') return undefined;
  if (verb === 'read') return type === 'ok' ? valueOf(value) : undefined;
  if (verb === 'cas') return type === 'ok';
  if (type === 'ok') return 'ok';
  throw new Error('a write that failed is not in this format');
}

function valueOf(text: string): Value {
  if (text === 'nil') return null;
  const value = Number(text);
  if (!Number.isInteger(value)) throw new Error(`${text} is no value of a register`);
  return value;
}
