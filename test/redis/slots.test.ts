import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { slotCount, slotOf, tagIn } from '../../src/engines/redis/slots.ts';
import { chance } from '../faults/chance.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

test.each([
  ['123456789', 0x31c3], // the check value of CRC-16/XMODEM
  ['foo', 12_182],
  ['bar', 5_061],
  ['', 0],
  ['{user1000}.following', 3_443],
  ['{user1000}.followers', 3_443],
])('the slot of %j is the one that the specification of Redis Cluster gives', (key, slot) => {
  expect(slotOf(key)).toBe(slot);
});

test.each([
  ['a{b}c', 'b'],
  ['foo{bar}{zap}', 'bar'],
  ['foo{{bar}}zap', '{bar'],
  ['{ü}', 'ü'],
])('the slot of %j is that of %j, its first hash tag', (key, tag) => {
  expect(slotOf(key)).toBe(slotOf(tag));
});

test.each([
  ['foo{}{bar}', 8_363],
  ['foo{bar', 15_278],
  ['{}', 15_257],
])('%j has no hash tag: all of it counts', (key, slot) => {
  expect(slotOf(key)).toBe(slot);
});

test('every slot has a short tag, which is in that slot, whatever order they are asked for in', () => {
  const slots = Array.from({ length: slotCount }, (_, i) => (i * 7_919) % slotCount);
  const wrong = slots.filter((slot) => tagIn(slot).length > 4 || slotOf(`lockstep:{${tagIn(slot)}}:session`) !== slot);
  expect(wrong).toEqual([]);
});

describe.skipIf(!hasRedisServer)('beside a server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer(['--cluster-enabled', 'yes']);
  });
  afterAll(() => server.remove());

  test('keys of random characters, with braces here and there, have the slots that the server says', async () => {
    const random = chance();
    const letters = ['{', '{', '}', '}', 'a', 'b', ':', 'ü', '€', '😀', '\0', ' '];
    const keys = Array.from({ length: 500 }, () =>
      Array.from({ length: Math.floor(random.between(0, 12)) }, () => random.pick(letters)).join(''),
    );
    const pipeline = server.client().pipeline();
    for (const key of keys) pipeline.call('CLUSTER', 'KEYSLOT', key);
    const said = (await pipeline.exec())!.map(([, slot]) => slot);
    expect(keys.map(slotOf)).toEqual(said);
  });
});
