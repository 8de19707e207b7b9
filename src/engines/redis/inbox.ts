import { limits } from '../../base/limits.ts';
import type { Doorbell, Inbox } from '../engine.ts';
import type { RedisClients } from './client.ts';
import { Link } from './link.ts';

/** The channel of a session's inbox, as `wake` in tx.lua has it. */
function channelOf(session: string): string {
  return `lockstep:${session}`;
}

/**
 * Subscribes to the channel of a session, on a connection of its own. Rejects with `UNAVAILABLE`.
 * Messages of the time when the connection is away are lost, so that `resync` follows each new one.
 */
export async function openInbox(clients: RedisClients, session: string, inbox: Inbox): Promise<Doorbell> {
  const link = new Link(clients, {
    commandMs: limits.redisCommandMs,
    prepare: (connection) => connection.subscribe(channelOf(session), (text) => inbox.message(text)),
    up: (again) => {
      if (again) inbox.resync();
    },
  });
  // A connection whose other side is gone without a word is found by asking it, but only while mail is wanted.
  const ask = (): void => void link.command(['PING']).catch(() => {});
  const timer = setInterval(ask, limits.redisPingMs);
  timer.unref();
  try {
    await link.command(['PING']);
  } catch (error) {
    clearInterval(timer);
    await link.close();
    throw error;
  }
  return {
    ref: () => void timer.ref(),
    unref: () => void timer.unref(),
    async close() {
      clearInterval(timer);
      await link.close();
    },
  };
}
