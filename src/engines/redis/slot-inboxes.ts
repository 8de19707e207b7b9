import { limits } from '../../base/limits.ts';
import type { Doorbell, Inbox } from '../engine.ts';
import type { Cluster } from './cluster.ts';
import { channelOf, listenAt, type Listening } from './inbox.ts';
import { slotOf, tagIn } from './slots.ts';

/** A slot that the session has worked in. */
interface SlotInbox {
  /** A key of it. */
  readonly key: string;
  listening: Listening | undefined;
  /** Until mail comes from there; undefined from then on. */
  opening: Promise<void> | undefined;
}

/**
 * The inbox of a session in a cluster: a channel in each slot that the session has worked in, subscribed before the first
 * step there, as a step can only wake through the node that it runs at.
 */
export class SlotInboxes implements Doorbell {
  readonly #cluster: Cluster;
  readonly #session: string;
  readonly #inbox: Inbox;
  readonly #look: (key: string) => Promise<unknown>;
  readonly #slots: Map<number, SlotInbox> = new Map();
  /** Slots that are being left: only then may they be entered again. */
  readonly #leaving: Map<number, Promise<void>> = new Map();
  readonly #timer: NodeJS.Timeout;

  /** `look` does a step at a key, which finds out whether its slot is still where it was. */
  constructor(cluster: Cluster, session: string, inbox: Inbox, look: (key: string) => Promise<unknown>) {
    this.#cluster = cluster;
    this.#session = session;
    this.#inbox = inbox;
    this.#look = look;
    this.#timer = setInterval(() => this.#lookAtNodes(), limits.redisLookMs).unref();
  }

  /** Undefined once mail from the slot of a key comes; else when it does. Rejects with `UNAVAILABLE`. */
  reach(key: string): Promise<void> | undefined {
    const slot = slotOf(key);
    const known = this.#slots.get(slot);
    if (known !== undefined) return known.opening;
    const one: SlotInbox = { key, listening: undefined, opening: undefined };
    this.#slots.set(slot, one);
    one.opening = this.#open(slot, one);
    return one.opening;
  }

  /** Mail from a slot is not wanted any more. */
  leave(slot: number): void {
    const one = this.#slots.get(slot);
    if (one?.listening === undefined || one.opening !== undefined) return;
    this.#slots.delete(slot);
    const left = one.listening.leave().finally(() => this.#leaving.delete(slot));
    this.#leaving.set(slot, left);
  }

  ref(): void {
    this.#timer.ref();
  }

  unref(): void {
    this.#timer.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#leaving.values(), ...[...this.#slots.values()].map(closed)]);
  }

  async #open(slot: number, one: SlotInbox): Promise<void> {
    try {
      await this.#leaving.get(slot);
      const channel = channelOf(this.#session, tagIn(slot));
      one.listening = await listenAt(this.#cluster.inSlot(slot, 'mail'), channel, this.#inbox);
      setImmediate(() => (one.opening = undefined)); // after those who waited for it: steps keep their order
    } catch (error) {
      this.#slots.delete(slot);
      throw error;
    }
  }

  /**
   * A master that became a replica still takes subscriptions, and a node may be gone without a word: a step and a PING,
   * for one slot of each node, find out.
   */
  #lookAtNodes(): void {
    const nodes = new Set<string>();
    for (const [slot, { key, listening }] of this.#slots) {
      const node = this.#cluster.knownMaster(slot);
      if (listening === undefined || nodes.has(node)) continue;
      nodes.add(node);
      for (const found of [listening.link.command(['PING']), this.#look(key)]) found.catch(() => {});
    }
  }
}

async function closed(one: SlotInbox): Promise<void> {
  await one.opening?.catch(() => {}); // it told who waited for it
  await one.listening?.link.close();
}
