import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Act } from './cost.ts';

/** What one operation sends, and what the server does for it. */
export interface Traffic {
  /** Writes to sockets of this process. */
  readonly writes: number;
  /** Commands that were sent. */
  readonly sent: number;
  /** Commands that scripts ran. */
  readonly inside: number;
}

/** Counts, a turn on average: all that this process sends and what MONITOR tells of it. Nothing else may use the server meanwhile. */
export async function trafficOf(server: Redis, act: Act, turns = 50): Promise<Traffic> {
  const monitor = await server.monitor();
  let [sent, inside] = [0, 0];
  const begun = seen(monitor, 'traffic begins');
  const ended = seen(monitor, 'traffic ends');
  await server.echo('traffic begins');
  await begun;
  monitor.on('monitor', (_time: string, words: string[], source: string) => {
    if (words[0] === 'echo' || words[0] === 'ping' || words[0] === 'PING') return;
    if (source === 'lua') inside += 1;
    else sent += 1;
  });
  const { write } = Socket.prototype;
  let writes = 0;
  Socket.prototype.write = function (this: Socket, ...given: Parameters<typeof write>) {
    writes += 1;
    return write.apply(this, given);
  } as typeof write;
  for (let i = 0; i < turns; i++) await act(-i - 1);
  Socket.prototype.write = write;
  await sleep(20); // what a push made others send
  await server.echo('traffic ends');
  await ended;
  monitor.disconnect();
  return { writes: writes / turns, sent: sent / turns, inside: inside / turns };
}

function seen(monitor: Awaited<ReturnType<Redis['monitor']>>, mark: string): Promise<void> {
  return new Promise((resolve) => {
    const look = (_time: string, words: string[]): void => {
      if (words[1] !== mark) return;
      monitor.off('monitor', look);
      resolve();
    };
    monitor.on('monitor', look);
  });
}
