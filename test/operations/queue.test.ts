import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import * as queue from '../../src/operations/queue.ts';
import { handClock, memorySubject, type Subject } from './subjects.ts';

const keys = keysOf('test').queue('q');
let claims = 0;

/** A claim that waits where it gets fewer. The ids that it got, and the ring. */
async function claim(
  store: Subject,
  consumer: string,
  max: number,
  known = '',
): Promise<[ids: string[], ring: string]> {
  claims += 1;
  const args = [consumer, String(claims), String(max), '10000', '0', '0', '1', known, '0'];
  const reply = await store.runBatch(queue.claim, keys, args);
  const tokens = reply.slice(0, -3).filter((_, i) => i % 2 === 0);
  return [tokens.map((token) => token.split(':')[0]!), reply.at(-2)!];
}

function push(store: Subject, count: number): Promise<readonly string[]> {
  const payloads = Array.from({ length: count }, () => '1');
  return store.runBatch(queue.push, keys, ['0', '0', '', '0', ...payloads]);
}

/** A store in which sessions listen, and who was told that something is ready. */
async function storeOf(...sessions: string[]): Promise<{ store: Subject; told: string[] }> {
  const store = memorySubject(handClock());
  onTestFinished(() => store.close());
  const told: string[] = [];
  for (const session of sessions) await store.connect(session, (text) => told.push(text.split(' ')[1]!));
  return { store, told };
}

test('a push wakes as many consumers as can hold its messages', async () => {
  const { store, told } = await storeOf('a', 'b', 'c');
  for (const consumer of ['a:5.1', 'b:5.1', 'c:5.10']) await claim(store, consumer, 5);
  await push(store, 5);
  expect(told).toEqual(['a:5.1']);
  await push(store, 6);
  expect(told).toEqual(['a:5.1', 'b:5.1', 'c:5.10']);
});

test('a consumer that was woken and has less room wakes the next one', async () => {
  const { store, told } = await storeOf('a', 'b', 'c');
  await claim(store, 'a:5.1', 3); // two of its handlers run
  for (const consumer of ['b:5.1', 'c:5.1']) await claim(store, consumer, 5);
  await push(store, 5);
  expect(told).toEqual(['a:5.1']);
  expect((await claim(store, 'a:5.1', 3))[0]).toHaveLength(3);
  expect(told).toEqual(['a:5.1', 'b:5.1']);
  expect((await claim(store, 'b:5.1', 5))[0]).toHaveLength(2);
  expect(told).toEqual(['a:5.1', 'b:5.1']);
});

test('a consumer is told of the ring when it has changed, and only then', async () => {
  const { store } = await storeOf('a', 'b');
  const ringOf = async (consumer: string, known: string): Promise<string> =>
    (await claim(store, consumer, 0, known))[1];
  const leave = (consumer: string): Promise<unknown> =>
    store.runBatch(queue.leave, keys, [consumer, '0', '0', '0', '1']);
  expect(await ringOf('a:1.1', '')).toBe('1:');
  expect(await ringOf('a:1.1', '1')).toBe('');
  expect(await ringOf('b:1.1', '')).toBe('2:a:1.1');
  expect(await ringOf('a:1.1', '1')).toBe('2:b:1.1');
  expect(await ringOf('a:1.1', '2')).toBe('');
  await leave('b:1.1');
  await leave('b:1.1'); // that is none of it any more
  expect(await ringOf('a:1.1', '2')).toBe('3:');
  expect(await ringOf('b:1.1', '2')).toBe('4:a:1.1'); // it lives, and is in it again
});
