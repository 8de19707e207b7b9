import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';

/** A stored message, without what its codec makes of the payload. */
export interface MessageRecord {
  /** When it was pushed: ms since 1970, by the store's clock. */
  readonly pushedAt: number;
  /** The id that its producer gave it, or ''. */
  readonly ownId: string;
  /** Its group, or ''. */
  readonly group: string;
  /** How many messages of a topic were cut off before this one; 0 in queues. */
  readonly missed: number;
  readonly payload: string;
}

/** `pushedMs:ownId:group:payload`, as operations/queue.ts stores it. */
export function parseRecord(record: string): MessageRecord {
  const first = record.indexOf(':');
  const second = record.indexOf(':', first + 1);
  const third = record.indexOf(':', second + 1);
  return {
    pushedAt: Number(record.slice(0, first)),
    ownId: second === first + 1 ? '' : fromPart(record.slice(first + 1, second)),
    group: third === second + 1 ? '' : fromPart(record.slice(second + 1, third)),
    missed: 0,
    payload: record.slice(third + 1),
  };
}

/** What a group of a topic took in: `publishedMs:missed:key:payload`. */
export function parseTakenIn(record: string): MessageRecord {
  const parsed = parseRecord(record);
  return { ...parsed, ownId: '', missed: Number(parsed.ownId) };
}

/** An id or a group as a part of a text whose parts are divided by colons. */
export function toPart(text: string): string {
  return text.replaceAll('%', '%25').replaceAll(':', '%3A');
}

export function fromPart(part: string): string {
  return part.includes('%') ? part.replaceAll('%3A', ':').replaceAll('%25', '%') : part;
}

/** What is known of a message that was delivered: `id:deliveries:session…`, an entry or a token. */
export interface Delivered {
  readonly place: string;
  readonly deliveries: number;
  readonly session: string;
}

export function parseDelivered(text: string): Delivered {
  const first = text.indexOf(':');
  if (first === -1) return { place: text, deliveries: 0, session: '' };
  const second = endOfPart(text, first + 1);
  return {
    place: text.slice(0, first),
    deliveries: Number(text.slice(first + 1, second)),
    session: text.slice(second + 1, endOfPart(text, second + 1)),
  };
}

function endOfPart(text: string, from: number): number {
  const end = text.indexOf(':', from);
  return end === -1 ? text.length : end;
}

/** A delivery that is done with. */
export interface Ended {
  readonly token: string;
  /** Its group as the store has it, or ''. */
  readonly groupPart: string;
}

/** What `operations.ack` takes. */
export function acksOf(deliveries: readonly Ended[]): string[] {
  const alone: string[] = ['0'];
  const grouped: string[] = [];
  for (const { token, groupPart } of deliveries) {
    if (groupPart === '') alone.push(token);
    else grouped.push(token, groupPart);
  }
  alone[0] = String(alone.length - 1);
  return grouped.length === 0 ? alone : [...alone, ...grouped];
}

/** Which of them were stale, by what `operations.ack` says. */
export function staleOf(tokens: string): ReadonlySet<string> {
  return tokens === '' ? none : new Set(tokens.split(' '));
}

const none: ReadonlySet<string> = new Set();

/** How a message is to be pushed. */
export interface PushTerms {
  readonly priority: number;
  readonly delayMs: number;
  readonly id: string | undefined;
  readonly group: string | undefined;
}

/** The head of a message: '' where nothing was said. Throws `INVALID_ARGUMENT`. */
export function headOf({ priority, delayMs, id, group }: PushTerms): string {
  if (priority === 0 && delayMs === 0 && id === undefined && group === undefined) return '';
  const { queuePriorityMax } = limits;
  if (!Number.isInteger(priority) || Math.abs(priority) > queuePriorityMax) {
    throw invalidArgument('priority', priority, `an integer from -${queuePriorityMax} to ${queuePriorityMax}`);
  }
  if (id !== undefined) checkName('id', id);
  if (group !== undefined) {
    checkName('group', group);
    if (priority !== 0)
      throw invalidArgument('priority', priority, 'absent where there is a group, which keeps its order');
    if (delayMs !== 0) throw invalidArgument('delay', delayMs, 'absent where there is a group, which keeps its order');
  }
  return `${priority}:${delayMs}:${toPart(id ?? '')}:${toPart(group ?? '')}`;
}
