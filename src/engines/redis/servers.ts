import { limits } from '../../base/limits.ts';
import type { Doorbell, Inbox } from '../engine.ts';
import type { RedisClients } from './client.ts';
import { Cluster } from './cluster.ts';
import type { ClusterClients, Purpose } from './cluster-clients.ts';
import { type LinkedDoorbell, openInbox } from './inbox.ts';
import { Link } from './link.ts';
import { clusterScripts, operationScripts, type Scripts } from './scripts.ts';
import { SlotInboxes } from './slot-inboxes.ts';
import { SlotUses } from './slot-uses.ts';
import { slotOf, tagIn } from './slots.ts';

/** One server, or a cluster of them: which connection is for which key. */
export interface Servers {
  readonly name: string;
  readonly kind: 'server' | 'cluster';
  readonly scripts: Scripts;
  /** A connection for what has no key. */
  readonly any: Link;
  /** The connection for steps at a key. Steps of one key take effect in the order in which they were asked for. */
  at(key: string): Link;
  /** Until the returned function is called something is held at a key, and mail about it comes. Absent where it always does. */
  hold?(key: string): () => void;
  /** Another connection for a key, on which WAIT may wait. */
  confirming(key: string): Link;
  /** What a script is given beside keys and arguments, if anything. */
  extra(key: string, needsTag: boolean): string | undefined;
  listen(session: string, inbox: Inbox): Promise<Doorbell>;
  /** Undefined where all that listen hear of what is done at a key; else when they do. */
  heard(key: string): Promise<unknown> | undefined;
  close(): Promise<void>;
}

/** `slotIdleMs`: a slot of a cluster that was not used for this long is left. */
export function serversOf(
  clients: RedisClients | ClusterClients,
  commandMs: number,
  slotIdleMs: number = limits.redisSlotIdleMs,
): Servers {
  return 'seeds' in clients ? cluster(clients, commandMs, slotIdleMs) : oneServer(clients, commandMs);
}

/** A connection on which operations run. */
export function openLink(clients: RedisClients, commandMs: number): Link {
  return new Link(clients, { commandMs, prepare: () => Promise.resolve() });
}

function oneServer(clients: RedisClients, commandMs: number): Servers {
  const bells = new Set<LinkedDoorbell>();
  const followed = (again: boolean): void => {
    if (again) for (const bell of bells) bell.follow();
  };
  const link = new Link(clients, { commandMs, prepare: () => Promise.resolve(), up: followed });
  let confirming: Link | undefined;
  return {
    name: clients.name,
    kind: 'server',
    scripts: operationScripts(),
    any: link,
    at: () => link,
    confirming: () => (confirming ??= openLink(clients, commandMs)),
    extra: () => undefined,
    async listen(session, inbox) {
      const bell = await openInbox(clients, session, inbox);
      bells.add(bell);
      return bell;
    },
    heard: () => undefined,
    async close() {
      await Promise.all([link.close(), confirming?.close()]);
    },
  };
}

function cluster(clients: ClusterClients, commandMs: number, slotIdleMs: number): Servers {
  const nodes = new Cluster(clients);
  const links: Record<Exclude<Purpose, 'mail'>, Map<number, Link>> = { steps: new Map(), confirmations: new Map() };
  const inboxes = new Set<SlotInboxes>();
  const uses = new SlotUses();
  const timer = setInterval(leaveIdle, slotIdleMs / 2).unref();

  function leaveIdle(): void {
    for (const slot of uses.takeIdle(slotIdleMs)) {
      for (const one of inboxes) one.leave(slot);
      for (const of of Object.values(links)) {
        of.get(slot)
          ?.close()
          .catch(() => {}); // it does not reject
        of.delete(slot);
      }
    }
  }

  function linkOf(slot: number, purpose: keyof typeof links): Link {
    const known = links[purpose].get(slot);
    if (known !== undefined) return known;
    leaveIdle(); // the event loop of a thread that renews stands still between renewals
    const made = openLink(nodes.inSlot(slot, purpose), commandMs);
    links[purpose].set(slot, made);
    return made;
  }

  function used(slot: number, purpose: keyof typeof links): Link {
    uses.use(slot);
    return linkOf(slot, purpose);
  }

  const at = (key: string): Link => used(slotOf(key), 'steps');
  return {
    name: clients.name,
    kind: 'cluster',
    scripts: clusterScripts(),
    get any() {
      return used(0, 'steps');
    },
    at,
    hold: (key) => uses.hold(slotOf(key)),
    confirming: (key) => used(slotOf(key), 'confirmations'),
    extra: (key, needsTag) => (needsTag ? tagIn(slotOf(key)) : undefined),
    async listen(session, inbox) {
      const made = new SlotInboxes(nodes, session, inbox, (key) =>
        linkOf(slotOf(key), 'steps').command(['EXISTS', key]),
      );
      inboxes.add(made);
      return {
        ref: () => made.ref(),
        unref: () => made.unref(),
        async close() {
          inboxes.delete(made);
          await made.close();
        },
      };
    },
    heard(key) {
      const opening: Promise<void>[] = [];
      for (const one of inboxes) {
        const reached = one.reach(key);
        if (reached !== undefined) opening.push(reached);
      }
      return opening.length === 0 ? undefined : Promise.all(opening);
    },
    async close() {
      clearInterval(timer);
      const all = [...links.steps.values(), ...links.confirmations.values()];
      await Promise.all(all.map((link) => link.close()));
      nodes.close();
    },
  };
}
