import { limits } from '../../base/limits.ts';
import type { Doorbell, Inbox } from '../engine.ts';
import type { RedisClients, RedisConnection } from './client.ts';
import { inTime } from './in-time.ts';
import { Link } from './link.ts';

/** A doorbell on a connection of its own. */
export interface LinkedDoorbell extends Doorbell {
  /** The steps have a new connection, perhaps to another server: mail comes from there. */
  follow(): void;
}

/** Subscribes to the channel of a session. Rejects with `UNAVAILABLE`. */
export async function openInbox(clients: RedisClients, session: string, inbox: Inbox): Promise<LinkedDoorbell> {
  const { link } = await listenAt(clients, channelOf(session), inbox); // as `wake` in tx.lua has it
  // A connection whose other side is gone without a word is found by asking it, but only while mail is wanted.
  const ask = (): void => void link.command(['PING']).catch(() => {});
  const timer = setInterval(ask, limits.redisPingMs);
  timer.unref();
  return {
    ref: () => void timer.ref(),
    unref: () => void timer.unref(),
    follow: () => link.again(new Error('the steps have a new connection')),
    async close() {
      clearInterval(timer);
      await link.close();
    },
  };
}

/** The channel of a session's inbox; in a cluster that of one slot, by the short hash tag of this. */
export function channelOf(session: string, tag?: string): string {
  return tag === undefined ? `lockstep:${session}` : `lockstep:{${tag}}:${session}`;
}

/** A connection that is subscribed to a channel. */
export interface Listening {
  readonly link: Link;
  /** Leaves the channel, and then closes the link. Never rejects. */
  leave(): Promise<void>;
}

/**
 * Listens at a channel. Messages of the time when the connection is away are lost, so that `resync` follows each new one.
 * Rejects with `UNAVAILABLE`.
 */
export async function listenAt(clients: RedisClients, channel: string, inbox: Inbox): Promise<Listening> {
  let last: RedisConnection | undefined;
  const link = new Link(clients, {
    commandMs: limits.redisCommandMs,
    prepare(connection) {
      last = connection;
      return connection.subscribe(channel, (text) => inbox.message(text));
    },
    up: (again) => {
      if (again) inbox.resync();
    },
  });
  try {
    await link.command(['PING']);
  } catch (error) {
    await link.close();
    throw error;
  }
  return {
    link,
    async leave() {
      const left = last?.unsubscribe(channel).catch(() => {}); // its connection is over, and the channel with it
      await inTime(left ?? Promise.resolve(), limits.redisCommandMs);
      await link.close();
    },
  };
}
