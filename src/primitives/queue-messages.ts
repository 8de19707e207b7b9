import { isLockstepError } from '../base/errors.ts';
import * as operations from '../operations/queue.ts';
import type { QueueLine } from './queue-line.ts';
import { parseDelivered } from './queue-record.ts';

/** Where a message stands: due, not due yet, with a consumer, or given up. */
export type MessageKind = (typeof messageKinds)[number];

export const messageKinds = ['ready', 'delayed', 'leased', 'dead'] as const;

/** A message as `peek` shows it. */
export interface Message<T> {
  readonly id: string;
  /** The id that the queue made. */
  readonly place: string;
  /** Absent where it can't be decoded. */
  readonly data: T | undefined;
  /** The message as it is stored. */
  readonly text: string;
  readonly group: string | undefined;
  /** ms since 1970, by the store's clock; so are the others. */
  readonly pushedAt: number;
  /** How often it was delivered. */
  readonly deliveries: number;
  /** The session that holds it, or that had it last. */
  readonly holder: string | undefined;
  /** When a delayed message is due, a lease ends, or a message died. */
  readonly at: number | undefined;
  /** Why a message died. */
  readonly reason: string | undefined;
}

/** The first messages of one kind. */
export async function messagesOf<T>(
  line: QueueLine,
  kind: MessageKind,
  count: number,
  decode: (id: string, payload: string) => T | Promise<T>,
): Promise<Message<T>[]> {
  const found = await line.run(operations.look, [kind, String(count)]);
  const messages: Message<T>[] = [];
  for (let i = 0; i + 3 < found.length; i += 4) {
    const [entry, us, stored, death] = found.slice(i, i + 4) as [string, number, string, string];
    if (stored === '') continue;
    const record = line.record(stored);
    const { place, deliveries, session } = parseDelivered(entry);
    const id = record.ownId === '' ? place : record.ownId;
    const last = parseDeath(death);
    messages.push({
      id,
      place,
      data: await decoded(() => decode(record.ownId, record.payload)),
      text: record.payload,
      group: record.group === '' ? undefined : record.group,
      pushedAt: record.pushedAt,
      deliveries: last?.deliveries ?? deliveries,
      holder: textOrNone(last?.holder ?? session),
      at: us === 0 ? undefined : Math.floor(us / 1_000),
      reason: last?.reason,
    });
  }
  return messages;
}

/** `deliveries:holder:blocked:reason`, as operations/queue.ts stores it. */
function parseDeath(death: string): { deliveries: number; holder: string; reason: string } | undefined {
  if (death === '') return undefined;
  const [deliveries = '0', holder = '', blocked = ''] = death.split(':', 3);
  const reason = death.slice(deliveries.length + holder.length + blocked.length + 3);
  return { deliveries: Number(deliveries), holder, reason };
}

/** A message that can't be read is shown all the same: it is what people look for. */
async function decoded<T>(decode: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await decode();
  } catch (error) {
    if (isLockstepError(error, 'INVALID_VALUE')) return undefined;
    throw error;
  }
}

function textOrNone(text: string): string | undefined {
  return text === '' ? undefined : text;
}
