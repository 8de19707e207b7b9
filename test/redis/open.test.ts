import { createClient, createCluster } from 'redis';
import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseAddress } from '../../src/engines/redis/address.ts';
import { ReplyError } from '../../src/engines/redis/client.ts';
import { clientsAt } from '../../src/engines/redis/clients.ts';
import { operationScripts } from '../../src/engines/redis/scripts.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import { redisEngine } from '../../src/engines/redis/redis.ts';
import { socketClients } from '../../src/engines/redis/socket.ts';
import { checkOptions, connect, open, type OpenOptions } from '../../src/open.ts';
import { failure, until } from '../contract/sessions.ts';
import { hasOpenssl, makeCertificate } from './certificate.ts';
import { startProxy } from './proxy.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

describe.skipIf(!hasRedisServer)('open of a Redis server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer(['--appendonly', 'yes']);
  });
  afterAll(() => server.remove());

  async function opened(where: Parameters<typeof open>[0], options: OpenOptions = {}): Promise<Lockstep> {
    const shared = await open(where, { onWarning: () => {}, ...options });
    onTestFinished(() => shared.close());
    return shared;
  }

  test('addresses by TCP, by socket, and clients of ioredis 5 and 6 and node-redis share one state', async () => {
    const v6 = new Redis({ path: server.socket });
    const v5 = new Redis5({ path: server.socket });
    const node = createClient({ socket: { path: server.socket, tls: false } });
    onTestFinished(() => {
      v6.disconnect();
      v5.disconnect();
    });
    const all = [`redis://127.0.0.1:${server.port}`, server.address, v6, v5, node];
    const counts: number[] = [];
    for (const where of all) counts.push(await (await opened(where)).counter('opened').add());
    expect(counts).toEqual([1, 2, 3, 4, 5]);
  });

  test('clients speak the protocol that they were made for, and all is the same by either', async () => {
    const at = { path: server.socket };
    const socket = { ...at, tls: false } as const;
    const ioredis = [
      new Redis({ ...at, protocol: 2, lazyConnect: true }),
      new Redis({ ...at, protocol: 3, replyMapping: 'resp3', lazyConnect: true }),
    ];
    const all: [where: Parameters<typeof open>[0], protocol: number][] = [
      [server.address, 2],
      [ioredis[0]!, 2],
      [ioredis[1]!, 3],
      [createClient({ socket, RESP: 2 }), 2],
      [createClient({ socket, RESP: 3 }), 3],
    ];
    for (const [i, [where, protocol]] of all.entries()) {
      const [a, b] = [await opened(where), await opened(where)];
      const clients = String(await server.client().client('LIST'));
      expect(clients.match(/sub=1 .*resp=\d/g)?.every((client) => client.endsWith(`resp=${protocol}`))).toBe(true);
      const lease = await a.lock('x').acquire();
      const waiting = b.lock('x').acquire();
      await until('it waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
      await lease.release();
      await (await waiting).release(); // by mail
      await a.map(`map-${i}`).set('k', [1, null]);
      await a.set(`set-${i}`).add(2.5);
      await a.sortedSet(`sorted-${i}`).set('m', 0.1);
      expect(await collect(b.map(`map-${i}`))).toEqual([['k', [1, null]]]);
      expect(await collect(b.set(`set-${i}`))).toEqual([2.5]);
      expect(await b.sortedSet(`sorted-${i}`).score('m')).toBe(0.1);
      await Promise.all([a.close(), b.close()]);
    }
  });

  test('a thread can renew what is held by a client of any of these: it can make the same connections', async () => {
    const [v6, v5] = [new Redis({ path: server.socket }), new Redis5({ path: server.socket })];
    onTestFinished(() => {
      v6.disconnect();
      v5.disconnect();
    });
    const node = createClient({ socket: { path: server.socket, tls: false } });
    const all = [v6, v5, node, new Cluster([server.port], { lazyConnect: true }), createCluster({ rootNodes: [{}] })];
    for (const client of all) expect((await clientsAt(client)).recipe).toBeDefined();
  });

  test('a client that was given is left as it is', async () => {
    const client = new Redis({ path: server.socket, keyPrefix: 'mine:' });
    onTestFinished(() => client.disconnect());
    const shared = await open(client, { onWarning: () => {} });
    await shared.counter('x').add();
    await shared.close();
    expect(client.status).toBe('ready');
    expect(client.options).toMatchObject({ keyPrefix: 'mine:', enableOfflineQueue: true });
    expect(await client.get('x')).toBeNull();
    expect(await server.client().get('{default}:counter:x')).toBe('1');
  });

  test('a password that is wrong is refused, and never shown', async () => {
    const closed = await startRedisServer(['--requirepass', 'right', '--appendonly', 'yes'], { password: 'right' });
    onTestFinished(() => closed.remove());
    for (const password of ['wrong@', '']) {
      const error = await failure(open(`redis://${password === '' ? '' : `:${password}`}127.0.0.1:${closed.port}`));
      expect(error).toMatchObject({ code: 'UNAVAILABLE' });
      expect(error.message).toMatch(/WRONGPASS|NOAUTH/);
      expect(error.message).not.toContain('wrong');
    }
    await opened(`redis://:right@127.0.0.1:${closed.port}`);
  });

  test('an ACL user with the rules of docs/redis.md can do everything', async () => {
    const rules = [
      'on',
      '>secret',
      '~{default}:*',
      '~lock-*',
      'resetchannels',
      '&lockstep:*',
      '+@connection',
      '+@scripting',
      '+@pubsub',
    ];
    const commands = ['+@read', '+@write', '+time', '-@dangerous', '+info', '+config|get'];
    await server.client().call('ACL', 'SETUSER', 'ann', ...rules, ...commands);
    const shared = await opened(`redis://ann:secret@127.0.0.1:${server.port}`);
    await shared.lock('x').run(() => shared.counter('acl').add());
    expect(await shared.counter('acl').get()).toBe(1);
    await server.client().call('ACL', 'SETUSER', 'ann', '-set', '-incrby');
    const narrow = await failure(shared.lock('x').acquire());
    expect(narrow).toMatchObject({ code: 'UNAVAILABLE', details: { applied: 'no' } });
    expect(narrow.message).toContain('docs/redis.md lists what is needed');
  });

  test.skipIf(!hasOpenssl)('a server is reached by TLS, and one that can not prove who it is is refused', async () => {
    const certificate = makeCertificate();
    const secured = await startRedisServer(['--appendonly', 'yes'], { certificate });
    onTestFinished(() => secured.remove());
    const client = new Redis({ host: 'localhost', port: secured.port, tls: { ca: certificate.text } });
    onTestFinished(() => client.disconnect());
    const shared = await opened(client);
    await shared.lock('x').run(() => shared.counter('tls').add());
    expect(await shared.counter('tls').get()).toBe(1);
    const tls = { ca: certificate.text, servername: '127.0.0.1' };
    const own = await redisEngine({ clients: socketClients('rediss', { host: '127.0.0.1', port: secured.port, tls }) });
    onTestFinished(() => own.close());
    const text = 'ä'.repeat(300_000);
    const value = (await connect(own, checkOptions({}))).value('tls');
    await value.set(text);
    expect(await value.get()).toBe(text);
    const error = await failure(open(`rediss://localhost:${secured.port}`));
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
    expect(error.message).toMatch(/self.signed/);
  });

  test('there are warnings about settings that may lose what is shared, and none where all is well', async () => {
    const heard: Error[] = [];
    await opened(server.address, { onWarning: (warning) => heard.push(warning) });
    expect(heard).toEqual([]);
    const cache = await startRedisServer(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru']);
    onTestFinished(() => cache.remove());
    await opened(cache.address, { onWarning: (warning) => heard.push(warning) });
    expect(heard.map((warning) => (warning as Error & { setting: string }).setting)).toEqual([
      'maxmemory-policy',
      'appendonly',
    ]);
    expect(heard[0]!.message).toContain('Set maxmemory-policy noeviction');
  });

  test('a server that is not there is UNAVAILABLE within the deadline', async () => {
    const gone = await startRedisServer();
    await gone.remove();
    const error = await failure(open(`redis://127.0.0.1:${gone.port}`));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', details: { applied: 'no' } });
    expect(error.message).toContain('ECONNREFUSED');
    expect(error.message).toMatch(/Is it there, and does it speak without TLS\?$/);
  });

  test('a server without TLS at an address with it is UNAVAILABLE, with what to look for', async () => {
    const error = await failure(open(`rediss://127.0.0.1:${server.port}`));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', details: { applied: 'no' } });
    expect(error.message).toMatch(/Is it there, and does it speak TLS\?$/);
  });

  test('a node of a cluster is refused with the reason', async () => {
    const node = await startRedisServer(['--cluster-enabled', 'yes']);
    onTestFinished(() => node.remove());
    const error = await failure(open(`redis://127.0.0.1:${node.port}`));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).toContain('cluster');
  });
});

describe.skipIf(!hasRedisServer)('a server that is older', () => {
  async function olderBy(version: string): Promise<{ address: string; server: RedisServer }> {
    const server = await startRedisServer(['--appendonly', 'yes']);
    onTestFinished(() => server.remove());
    const proxy = await startProxy(server.socket);
    onTestFinished(() => proxy.close());
    const [, own = ''] = /redis_version:([\d.]+)/.exec(await server.client().info('server')) ?? [];
    proxy.say = (reply) => reply.replace(`redis_version:${own}`, `redis_version:${version.padEnd(own.length, '0')}`);
    return { address: proxy.address, server };
  }

  test.each(['6.0.9', '5.0.1', '6.1.2'])('%s is refused, with the version that is needed', async (version) => {
    const { address } = await olderBy(version);
    const error = await failure(open(address, { onWarning: () => {} }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', details: { server: address } });
    expect(error.message).toContain(`is Redis ${version}`);
    expect(error.message).toContain('Redis 6.2 or later');
  });

  test.each(['6.2.0', '8.0.1'])('%s is not refused', async (version) => {
    const { address } = await olderBy(version);
    const shared = await open(address, { onWarning: () => {} });
    onTestFinished(() => shared.close());
    expect(await shared.lock('x').run(() => shared.counter('n').add())).toBe(1);
  });

  test('as 6.2 it has every command that a script runs', async () => {
    const server = await startRedisServer();
    onTestFinished(() => server.remove());
    const scripts = operationScripts();
    const texts = scripts.operations().map((name) => scripts.of(name).text);
    const commands = new Set(
      texts.flatMap((text) => [...text.matchAll(/redis\.call\('(\w+)'/g)].map(([, name]) => name!)),
    );
    expect(commands.size).toBeGreaterThan(20);
    for (const command of commands) {
      const [, docs] = (await server.client().call('COMMAND', 'DOCS', command)) as [string, string[]];
      const [major = 0, minor = 0] = docs[docs.indexOf('since') + 1]!.split('.').map(Number);
      expect(major * 10 + minor, command).toBeLessThanOrEqual(62);
    }
  });
});

test.each([
  ['ERR Error running script (call to f_0): @user_script:4: @user_script: 4: -OOM command not allowed when…', 'OOM'],
  ["ERR Error running script (call to f_0): @user_script:4: @user_script: 4: -READONLY You can't write…", 'READONLY'],
  ['ERR Error running script (call to f_0): @user_script:1: WRONGTYPE Operation against…', 'ERR'],
  ["READONLY You can't write against a read only replica. script: f0, on @user_script:4.", 'READONLY'],
  ["ERR The user executing the script can't run this command or subcommand script: f0, on @user_script:2.", 'NOPERM'],
  ['NOSCRIPT No matching script. Please use EVAL.', 'NOSCRIPT'],
])('the word of %j is %s: Redis 6.2 says it further on', (text, word) => {
  expect(new ReplyError(new Error(text)).word).toBe(word);
});

test('addresses are read as documented, and shown without passwords', () => {
  expect(parseAddress('redis://ann:p%40ss@db.example:7000/3')).toEqual({
    name: 'redis://db.example:7000/3',
    options: { host: 'db.example', port: 7000, db: 3, username: 'ann', password: 'p@ss' },
  });
  expect(parseAddress('rediss://[::1]').options).toEqual({
    host: '::1',
    port: 6379,
    db: 0,
    tls: { servername: '::1' },
  });
  expect(parseAddress('redis+unix:/run/redis.sock?db=2')).toEqual({
    name: 'redis+unix:/run/redis.sock',
    options: { path: '/run/redis.sock', db: 2 },
  });
  expect(parseAddress('redis+unix://ann:secret@/run/redis.sock').options).toEqual({
    path: '/run/redis.sock',
    db: 0,
    username: 'ann',
    password: 'secret',
  });
  expect(parseAddress('redis+sentinel://:secret@a:26379,b/main/1')).toEqual({
    name: 'redis+sentinel://a:26379,b/main',
    options: {
      sentinels: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 26_379 },
      ],
      name: 'main',
      role: 'master',
      db: 1,
      password: 'secret',
    },
  });
  const nodes = [
    { host: 'a', port: 7000 },
    { host: '::1', port: 6379 },
    { host: 'c.example', port: 6379 },
  ];
  expect(parseAddress('redis+cluster://ann:p%40ss@a:7000,[::1],c.example')).toEqual({
    name: 'redis+cluster://a:7000,[::1],c.example',
    seeds: nodes,
    options: { username: 'ann', password: 'p@ss' },
  });
  expect(parseAddress('rediss+cluster://a:7000/')).toEqual({
    name: 'rediss+cluster://a:7000',
    seeds: [{ host: 'a', port: 7000 }],
    options: { tls: {} },
  });
});

test('what is no address is refused, without its password', () => {
  for (const wrong of [
    'redis+cluster://',
    'redis+cluster://u:secret@',
    'redis+cluster://u:secret@a:7000,',
    'redis+cluster://a:port',
    'redis+cluster://a:70000',
    'redis+cluster://u:secret@a/1',
    'redis+cluster://a?db=1',
    'redis+sentinel://a,/main',
    'redis://a:b:c',
    'redis://u:secret@host/x',
    'redis+unix:',
    'redis+sentinel://a',
    'redis+quic://a',
    'redis://u:s/secret@host',
    'redis://u:secret@host?family=6',
    'redis://u:secret@host/1?db=1&tls=true',
    'rediss://u:secret@host#1',
    'redis://u:1?secret@host',
    'redis://u:1#secret@host',
    'redis://u:secret%RET@host',
    'redis+unix://u:secret%RET@/run/redis.sock',
    'redis+sentinel://u:s/secret@a/main',
  ]) {
    expect(() => parseAddress(wrong)).toThrow(/^where is /);
    expect(() => parseAddress(wrong)).not.toThrow(/secret/);
  }
});

test('an address with a slip is not taken for a directory, and its password is not shown', async () => {
  const slips = [
    '127.0.0.1:6379',
    '[::1]:6379',
    'db:6379',
    'redis//h:6379',
    'rediss//app:secret@h',
    'http://u:secret@h',
  ];
  for (const slip of slips) {
    const error = await failure(open(slip));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', details: { argument: 'where' } });
    expect(error.message).not.toContain('secret');
  }
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
