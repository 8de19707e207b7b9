import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import * as queue from '../../src/operations/queue.ts';
import { handClock, memorySubject } from './subjects.ts';

test('who comes into the ring of a queue, or leaves it, wakes whoever has another one to watch then', async () => {
  const clock = handClock();
  const store = memorySubject(clock);
  onTestFinished(() => store.close());
  const keys = keysOf('test').queue('q');
  const mail: string[] = [];
  for (const session of ['a', 'b', 'c']) await store.connect(session, (text) => mail.push(`${session} ${text}`));
  /** Holds all that it may: it does not wait. What it is told of the ring. */
  const claim = async (session: string, ring = ''): Promise<string> => {
    clock.nowUs += 1;
    const args = [`${session}:1.1`, '1', '0', '50', '0', '0', '1', ring, '0'];
    return (await store.runBatch(queue.claim, keys, args)).at(-2)!;
  };
  const ready = (session: string): string => `${session} ready ${session}:1.1 0 ${keys[0]!}`;

  expect(await claim('a')).toBe('1:');
  expect(mail).toEqual([]);
  expect(await claim('b')).toBe('2:a:1.1');
  expect(mail.splice(0)).toEqual([ready('a')]);
  expect(await claim('a', '1')).toBe('2:b:1.1');
  expect(await claim('c')).toBe('3:a:1.1');
  expect(mail.splice(0)).toEqual([ready('b')]);
  await store.runBatch(queue.leave, keys, ['a:1.1', '0', '0', '0', '0']);
  expect(mail.splice(0)).toEqual([ready('c')]);
  expect(await claim('c', '3')).toBe('4:b:1.1');
});
