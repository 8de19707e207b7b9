import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compileOperations } from '../../scripts/lua/compile.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Doorbell, Engine } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import { redisRunner } from '../../src/engines/redis/runner.ts';
import { Scripts } from '../../src/engines/redis/scripts.ts';
import { type RedisServer, sendingBy } from './redis-server.ts';

/** A store as the tests of operations see it. */
export interface Subject extends Pick<Engine, 'run' | 'runBatch'> {
  readonly name: string;
  /** Opens the inbox of a session. */
  connect(session: string, message: (text: string) => void): Promise<void>;
  disconnect(session: string): Promise<void>;
  close(): Promise<void>;
}

/** A clock that only the test moves. */
export interface HandClock extends Clock {
  nowUs: number;
}

export function handClock(): HandClock {
  return { ...systemClock, nowUs: 1_700_000_000_123_456, wallUs: handUs };
}

function handUs(this: HandClock): number {
  return this.nowUs;
}

export function memorySubject(clock: Clock): Subject {
  return engineSubject(memoryEngine({ clock }));
}

/** So that few members are many parts. */
const smallParts = { walkMax: 2, partMax: 2, groupMax: 2 };

/** `hashBits`: so few that nearly all members have the same home. */
export async function embeddedSubject(clock: Clock, hashBits = 2): Promise<Subject> {
  const { embeddedEngine } = await import('../../src/engines/embedded/embedded.ts');
  const { openSqlite } = await import('../../src/engines/embedded/driver.ts');
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-operations-'));
  const subject = engineSubject(await embeddedEngine({ directory, clock, ranks: smallParts, hashBits }));
  const sqlite = openSqlite(join(directory, 'lockstep.db'));
  sqlite.exec('UPDATE salt SET salt = 1'); // not at random: what is found is found again
  sqlite.close();
  return {
    ...subject,
    async close() {
      await subject.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function engineSubject(engine: Engine): Subject {
  const bells = new Map<string, Doorbell>();
  return {
    name: engine.name.split(' ')[0]!,
    run: engine.run.bind(engine),
    runBatch: engine.runBatch.bind(engine),
    async connect(session, message) {
      bells.set(session, await engine.listen(session, { message, undelivered: () => {}, resync: () => {} }));
    },
    async disconnect(session) {
      await bells.get(session)?.close();
    },
    async close() {
      for (const bell of bells.values()) await bell.close();
      await engine.close();
    },
  };
}

/**
 * The generated Lua in a real server. With a clock, the scripts run on it; without one, on the server's own time.
 * `change` may plant a slip.
 */
export function redisSubject(server: RedisServer, clock?: HandClock, change = (lua: string): string => lua): Subject {
  const client = server.connect();
  const subscriber = server.connect();
  const inboxes = new Map<string, (text: string) => void>();
  subscriber.on('message', (channel: string, text: string) => inboxes.get(channel)?.(text));
  const scripts = `${change(readFileSync('src/engines/redis/operations.lua', 'utf8'))}\n${verbsLua()}`;
  const runner = redisRunner(sendingBy(client), new Scripts(clock === undefined ? scripts : onHandClock(scripts)));
  let sentUs = 0;

  /** Commands of one connection run in order, so that the script that follows sees this time. */
  function tellTime(): void {
    if (clock === undefined || clock.nowUs === sentUs) return;
    sentUs = clock.nowUs;
    client.set(timeKey, String(sentUs)).catch(() => {});
  }

  return {
    name: 'redis',
    run(operation, keys, args) {
      tellTime();
      return runner.run(operation, keys, args);
    },
    runBatch(operation, keys, args) {
      tellTime();
      return runner.runBatch(operation, keys, args);
    },
    async connect(session, message) {
      inboxes.set(`lockstep:${session}`, message);
      await subscriber.subscribe(`lockstep:${session}`);
    },
    async disconnect(session) {
      await subscriber.unsubscribe(`lockstep:${session}`);
    },
    async close() {
      await client.flushall();
      client.disconnect();
      subscriber.disconnect();
    },
  };
}

let compiledVerbs: string | undefined;

/** The operations for tests, by the compiler of the real ones. */
function verbsLua(): string {
  compiledVerbs ??= compileOperations(resolve(import.meta.dirname, 'verbs'));
  return compiledVerbs;
}

const timeKey = 'test:now';

/**
 * Redis has no clock that a test could hold. So the commands that touch time are replaced: expiries are written
 * three thousand years late, out of reach of the server's own clock, and judged by Redis's rule (over when the
 * millisecond after the last one begins) at the time of the test. What remains of the script is as it is published.
 */
function onHandClock(scripts: string): string {
  return scripts.replace(/^--==\[ tx \]==\n/m, `$&\n${handClockLua}\n`);
}

const handClockLua = `
local redis = (function(server)
  local late = 1e14
  local nowUs = tonumber(server.call('GET', '${timeKey}'))
  local nowMs = math.floor(nowUs / 1000)
  for _, key in ipairs(KEYS) do
    local at = server.call('PEXPIRETIME', key)
    if at > 0 and nowMs > at - late then server.call('DEL', key) end
  end
  local function atMs(ms)
    return string.format('%.0f', nowMs + ms + late)
  end
  local commands = {}
  function commands.TIME() return {math.floor(nowUs / 1000000), nowUs % 1000000} end
  function commands.PEXPIRE(key, ms) return server.call('PEXPIREAT', key, atMs(ms)) end
  function commands.SET(key, value, px, ms)
    if px == nil then return server.call('SET', key, value) end
    assert(px == 'PX')
    if tonumber(ms) < 1 then return server.call('SET', key, value, 'PX', ms) end -- which the server refuses
    return server.call('SET', key, value, 'PXAT', atMs(ms))
  end
  function commands.PTTL(key)
    local at = server.call('PEXPIRETIME', key)
    if at < 0 then return at end
    return at - late - nowMs
  end
  return {sha1hex = server.sha1hex, call = function(name, ...)
    local command = commands[name]
    if command ~= nil then return command(...) end
    return server.call(name, ...)
  end}
end)(redis)
`;
