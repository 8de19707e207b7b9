import { type Ended, parseDelivered, parseRecord } from '../../src/primitives/queue-record.ts';

/** A message that a claim took. */
export interface Delivery extends Ended {
  readonly id: string;
  readonly record: string;
}

/** What a claim of a queue, or of a group of a topic, took, by its reply. */
export function deliveriesOf(reply: readonly string[]): Delivery[] {
  const taken: Delivery[] = [];
  for (let i = 0; i + 4 < reply.length; i += 2) {
    const [token, record] = [reply[i]!, reply[i + 1]!];
    taken.push({ token, id: parseDelivered(token).place, groupPart: parseRecord(record).group, record });
  }
  return taken;
}
