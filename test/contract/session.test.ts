import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import * as sessions from '../../src/operations/session.ts';
import { eachEngine } from './each-engine.ts';
import { failure, openSession, until } from './sessions.ts';

eachEngine((_, openStore) => {
  test('sessions lists who takes part, and opening removes what dead processes left', async () => {
    const store = await openStore();
    const a = await openSession(store, 'a');
    const engine = await store.engine();
    const { pid } = spawnSync(process.execPath, ['--version']); // it has ended
    const card = { id: 'dead', host: hostname(), pid, thread: 0, label: 'ghost', since: 1 };
    const elsewhere = { ...card, id: 'far', host: 'another machine' };
    for (const one of [card, elsewhere]) {
      await engine.run(sessions.join, keysOf('test'), { session: one.id, card: JSON.stringify(one) });
    }
    const b = await openSession(store, 'b');
    await until('the card of the dead is gone', async () => {
      const { entries } = await engine.scan(keysOf('test').sessions, '', 100);
      return !entries.includes('dead') && entries.includes('far');
    });
    const listed = await b.sessions();
    expect(listed.map(({ label }) => label)).toEqual(expect.arrayContaining(['a', 'b']));
    expect(listed.map(({ id }) => id)).not.toContain('dead');
    expect(a.session).toMatchObject({ label: 'a', pid: process.pid, host: hostname(), thread: 0 });
  });

  test('everything rejects with CLOSED after close', async () => {
    const a = await openSession(await openStore(), 'a');
    await a.close();
    const calls = [
      a.lock('x').acquire(),
      a.lock('x').tryAcquire(),
      a.lock('x').run(() => 1),
      a.lock('x').inspect(),
      a.lock('x').forceRelease(),
      a.lock('x').requestRelease(),
      a.lockAll(['x', 'y']),
      a.sessions(),
    ];
    const errors = await Promise.all(calls.map(failure));
    expect(errors.map(({ code }) => code)).toEqual(calls.map(() => 'CLOSED'));
  });
});
