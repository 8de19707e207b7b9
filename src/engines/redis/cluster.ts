import { limits } from '../../base/limits.ts';
import { type Answer, ask, type RedisClients, type RedisConnection, ReplyError } from './client.ts';
import { addressOf, type ClusterClients, type NodeAddress, type Purpose } from './cluster-clients.ts';
import { NodeConnections, type NodeConnection } from './node-connections.ts';
import { slotCount } from './slots.ts';

/**
 * A Redis Cluster: which node is the master of a slot, as of its last word, and connections to these. A `Link` of a slot
 * goes to another node when this one says MOVED, and looks for the new master when its connection is lost.
 */
export class Cluster {
  readonly clients: ClusterClients;
  readonly #connections: NodeConnections;
  #masters: (NodeAddress | undefined)[] = [];
  /** All nodes, masters first. */
  #nodes: readonly NodeAddress[];
  /** What is known may be wrong: it is asked for before the next use. */
  #doubtful = true;
  #asking: Promise<void> | undefined;

  constructor(clients: ClusterClients) {
    this.clients = clients;
    this.#nodes = clients.seeds;
    this.#connections = new NodeConnections(clients);
  }

  /** Connections to the master of a slot, whichever node that is. */
  inSlot(slot: number, purpose: Purpose): RedisClients {
    const { name } = this.clients;
    return { name, recipe: undefined, connect: (ended) => new SlotConnection(this, slot, purpose, ended) };
  }

  /** Where the slot was last known to be. */
  knownMaster(slot: number): string {
    const master = this.#masters[slot];
    return master === undefined ? '' : addressOf(master);
  }

  async connectToMaster(slot: number, purpose: Purpose): Promise<NodeConnection> {
    if (this.#doubtful || this.#masters[slot] === undefined) await this.#ask();
    const master = this.#masters[slot];
    if (master === undefined) throw new Error(`no node serves slot ${slot}`);
    return this.#connections.to(master, purpose);
  }

  connectTo(node: NodeAddress, purpose: Purpose): NodeConnection {
    return this.#connections.to(node, purpose);
  }

  /** A node answered that a slot is elsewhere: `MOVED 3999 10.0.0.2:6379`. It knows better than what was known. */
  moved(reply: ReplyError, by: NodeAddress): void {
    const { slot, node } = this.redirection(reply, by);
    this.#masters[slot] = node;
    this.#connections.check((of) => this.knownMaster(of));
    this.#ask(node).catch(() => {}); // other slots may have moved with it
  }

  /** The slot and the node of a MOVED or ASK, whose host is left out where it is the one that answered. */
  redirection(reply: ReplyError, by: NodeAddress): { slot: number; node: NodeAddress } {
    const [, slot = '', address = ''] = reply.message.split(' ');
    const colon = address.lastIndexOf(':');
    const named = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
    return {
      slot: Number(slot),
      node: named.host === '' ? { ...by, port: named.port } : this.clients.translate(named),
    };
  }

  /** The cluster may have changed: its nodes are asked before the next connection. */
  doubt(): void {
    this.#doubtful = true;
  }

  close(): void {
    this.#connections.close();
  }

  #ask(first?: NodeAddress): Promise<void> {
    this.#asking ??= this.#askNodes(first).finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** Asks one after the other until one says which node has which slot. */
  async #askNodes(first: NodeAddress | undefined): Promise<void> {
    this.#doubtful = false;
    const candidates = [...(first === undefined ? [] : [first]), ...this.#nodes, ...this.clients.seeds];
    let failure: unknown;
    for (const node of new Map(candidates.map((one) => [addressOf(one), one])).values()) {
      try {
        this.#learn(node, await this.#connections.once(node, ['CLUSTER', 'SLOTS'], limits.redisTopologyMs));
        return;
      } catch (error) {
        failure = error;
        if (error instanceof ReplyError && error.word !== 'LOADING') break; // what it says, others would say
      }
    }
    this.#doubtful = true;
    throw failure;
  }

  /** Of each range of slots: from, to, then its nodes, the master first: host, port, id. */
  #learn(from: NodeAddress, reply: unknown): void {
    const masters: NodeAddress[] = [];
    const nodes: NodeAddress[] = [];
    for (const [first, last, ...members] of reply as [number, number, ...[string | null, number][]][]) {
      const at = members.map(([host, port]) =>
        host === null || host === '' || host === '?' ? { ...from, port } : this.clients.translate({ host, port }),
      );
      const [master] = at;
      if (master === undefined) continue;
      for (let slot = first; slot <= last && slot < slotCount; slot++) masters[slot] = master;
      nodes.unshift(master);
      nodes.push(...at.slice(1));
    }
    if (nodes.length === 0) throw new Error('the cluster has no slots');
    this.#masters = masters;
    this.#nodes = nodes;
    this.#connections.check((slot) => this.knownMaster(slot));
  }
}

/** A part in the connection to a node, as a `Link` of one slot uses it. */
class SlotConnection implements RedisConnection {
  readonly up: Promise<void>;
  readonly #cluster: Cluster;
  readonly #slot: number;
  readonly #purpose: Purpose;
  readonly #ended: (reason: Error) => void;
  #node: NodeConnection | undefined;
  #unanswered = 0;
  #closed = false;

  constructor(cluster: Cluster, slot: number, purpose: Purpose, ended: (reason: Error) => void) {
    this.#cluster = cluster;
    this.#slot = slot;
    this.#purpose = purpose;
    this.#ended = ended;
    this.up = new Promise((resolve) => {
      this.#open().then(resolve, (error: Error) => this.#end(error));
    });
  }

  send(words: readonly string[], answer: Answer): void {
    const node = this.#node!;
    this.#unanswered += 1;
    node.connection.send(words, {
      resolve: (reply) => {
        this.#unanswered -= 1;
        answer.resolve(reply);
      },
      reject: (error) => {
        this.#unanswered -= 1;
        if (!(error instanceof ReplyError && error.word === 'ASK')) return answer.reject(error);
        this.#askOther(error, words, node.address).then(
          (reply) => answer.resolve(reply),
          (refusal: Error) => answer.reject(refusal),
        );
      },
    });
  }

  async subscribe(channel: string, message: (text: string) => void): Promise<void> {
    const node = this.#node!;
    try {
      // The id of the node is a part of the channel: see wakeInSlot in scripts.ts.
      await node.connection.subscribe(`${channel}:${await node.id()}`, message, true);
    } catch (error) {
      this.refused(error as Error);
      throw error;
    }
  }

  /** Where others use the connection too: else it ends. */
  async unsubscribe(channel: string): Promise<void> {
    const node = this.#node;
    if (node === undefined || node.users.size === 1) return;
    this.#unanswered += 1;
    try {
      await node.connection.unsubscribe(`${channel}:${await node.id()}`);
    } finally {
      this.#unanswered -= 1;
    }
  }

  /** MOVED: nothing was done, and it is to be tried at another node. */
  refused(error: Error): 'elsewhere' | undefined {
    if (!(error instanceof ReplyError)) return undefined;
    if (error.word === 'MOVED') this.#cluster.moved(error, this.#node!.address);
    else if (error.word === 'CLUSTERDOWN') this.#cluster.doubt();
    else return undefined;
    return 'elsewhere';
  }

  /** A connection that owes answers is given up for all who use it: it does not give them. */
  close(): void {
    this.#closed = true;
    const node = this.#node;
    this.#node = undefined;
    if (node === undefined) return;
    node.leave(this);
    if (this.#unanswered > 0) node.giveUp(new Error('it gave no answer'));
  }

  /** For `NodeConnection`. */
  get slot(): number {
    return this.#slot;
  }

  /** For `NodeConnection`. */
  lost(reason: Error): void {
    this.#end(reason);
  }

  async #open(): Promise<void> {
    const node = await this.#cluster.connectToMaster(this.#slot, this.#purpose);
    if (this.#closed) return new Promise(() => {});
    this.#node = node;
    node.join(this);
    return node.connection.up;
  }

  #end(reason: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cluster.doubt();
    this.#ended(reason);
  }

  /**
   * The slot is on its way to another node, and these keys are there already. WAIT would not see what is done there:
   * a confirmation waits until the slot has moved.
   */
  async #askOther(reply: ReplyError, args: readonly string[], by: NodeAddress): Promise<unknown> {
    const { node } = this.#cluster.redirection(reply, by);
    const later = new ReplyError(new Error(`TRYAGAIN the slot is moving to ${addressOf(node)}`));
    if (this.#purpose === 'confirmations') throw later;
    const other = this.#cluster.connectTo(node, this.#purpose);
    let isLost: (() => void) | undefined;
    const lost = new Promise<never>((_, reject) => (isLost = () => reject(later)));
    const user = { slot: -1, lost: () => isLost?.() };
    other.join(user);
    try {
      await Promise.race([other.connection.up, lost]);
      ask(other.connection, ['ASKING']).catch(() => {}); // the next one fails too
      return await ask(other.connection, args);
    } finally {
      other.leave(user);
    }
  }
}
