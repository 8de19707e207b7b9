import { expect, test } from 'vitest';
import { look } from './onlooker.ts';
import { leaveNobodyBehind, start, temporaryDirectory } from './processes.ts';
import { nowMs } from './programs/now.ts';

leaveNobodyBehind();

/** What a machine that is busy with other things may add. */
const slackMs = 20_000;

test('a holder that was stopped past its lease finds it lost: its guarded write is refused', async () => {
  const ttl = 1_500;
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const holder = start('holder', { directory, ttl });
  const fence = Number((await holder.hears('holds'))['fence']);
  holder.tell({ what: 'write' });
  expect(await holder.hears('wrote')).toMatchObject({ code: '' });

  const stopped = nowMs();
  holder.signal('SIGSTOP');
  const lease = await shared.lock('held').acquire({ timeout: ttl + slackMs });
  console.log(`a stopped holder's lease of ${ttl} ms went on after ${Math.round(nowMs() - stopped)} ms`);
  expect(nowMs() - stopped).toBeGreaterThan(ttl / 10); // it was renewed at a third of its length or so
  expect(lease.fence).toBeGreaterThan(fence);
  await shared.map('values').set('by', 'successor', { guard: lease });

  holder.signal('SIGCONT');
  holder.tell({ what: 'write' });
  expect(await holder.hears('wrote')).toMatchObject({ code: 'LEASE_LOST' });
  holder.tell({ what: 'write' });
  expect(await holder.hears('wrote')).toMatchObject({ code: 'LEASE_LOST', aborted: true, reason: 'LEASE_LOST' });
  expect(await shared.map('values').get('by')).toBe('successor');

  holder.tell({ what: 'end' });
  expect(await holder.ends()).toEqual({ code: 0, signal: null });
  expect(lease.remaining()).toBeGreaterThan(0);
  expect(lease.signal.aborted).toBe(false);
});

test('an event loop that stands still for longer than the lease keeps its lock', async () => {
  const ttl = 3_000;
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const holder = start('holder', { directory, ttl, blockMs: 5_500 });
  const taken = holder.hears('holds').then(() => shared.lock('held').acquire());
  const turned = await holder.hears('turned');
  expect(turned['remaining']).toBeGreaterThan(0);
  holder.tell({ what: 'write' });
  expect(await holder.hears('wrote')).toMatchObject({ code: '', aborted: false });
  holder.tell({ what: 'end' });
  expect(await holder.ends()).toEqual({ code: 0, signal: null });
  await taken;
});

test('an event loop that stands still for longer than it may loses its lock, and knows at once when it turns', async () => {
  const ttl = 300;
  const directory = temporaryDirectory();
  const shared = await look(directory);
  const holder = start('holder', { directory, ttl, maxStall: 300, blockMs: 5_000 });
  const { fence } = await holder.hears('holds');
  const lease = await shared.lock('held').acquire({ timeout: 4_500 });
  expect(lease.fence).toBeGreaterThan(Number(fence));
  expect(holder.said.map(({ what }) => what)).not.toContain('turned');

  expect(await holder.hears('turned')).toMatchObject({ remaining: 0 });
  const lost = await holder.hears('lost');
  expect(lost).toMatchObject({ code: 'LEASE_LOST' });
  holder.tell({ what: 'write' });
  expect(await holder.hears('wrote')).toMatchObject({ code: 'LEASE_LOST', aborted: true });
  holder.tell({ what: 'end' });
  expect(await holder.ends()).toEqual({ code: 0, signal: null });
});
