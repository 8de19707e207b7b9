import { ask, type RedisConnection } from './client.ts';
import { addressOf, type ClusterClients, type NodeAddress, type Purpose } from './cluster-clients.ts';

/** Who shares a connection. */
export interface ConnectionUser {
  /** The slot for which it is used; -1 for one command. */
  readonly slot: number;
  /** It is over. */
  lost(reason: Error): void;
}

/** The connection of one purpose to one node, shared by all slots of this node; it ends with its last user. */
export class NodeConnection {
  readonly address: NodeAddress;
  readonly connection: RedisConnection;
  readonly users: Set<ConnectionUser> = new Set();
  readonly #over: () => void;
  #isOver = false;
  #id: Promise<string> | undefined;

  constructor(address: NodeAddress, clients: ClusterClients, over: () => void) {
    this.address = address;
    this.#over = over;
    this.connection = clients.connectTo(address, (reason) => this.giveUp(reason));
  }

  /** What the cluster calls this node. Asked for once, before the connection is one for mail alone. */
  id(): Promise<string> {
    this.#id ??= ask(this.connection, ['CLUSTER', 'MYID']).then(String);
    return this.#id;
  }

  join(user: ConnectionUser): void {
    this.users.add(user);
  }

  leave(user: ConnectionUser): void {
    this.users.delete(user);
    if (this.users.size === 0) this.giveUp(new Error('nobody needs it any more'));
  }

  /** Ends it for all. */
  giveUp(reason: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#over();
    this.connection.close();
    for (const user of this.users) user.lost(reason);
  }
}

/** The connections to the nodes of a cluster. */
export class NodeConnections {
  readonly #clients: ClusterClients;
  readonly #of: Map<string, { purpose: Purpose; one: NodeConnection }> = new Map();

  constructor(clients: ClusterClients) {
    this.#clients = clients;
  }

  to(node: NodeAddress, purpose: Purpose): NodeConnection {
    const name = `${purpose} ${addressOf(node)}`;
    const known = this.#of.get(name);
    if (known !== undefined) return known.one;
    const one = new NodeConnection(node, this.#clients, () => {
      if (this.#of.get(name)?.one === one) this.#of.delete(name);
    });
    this.#of.set(name, { purpose, one });
    return one;
  }

  /**
   * Ends those for mail to nodes that are not the masters of all their slots any more: what is sent there counts nobody.
   * Those for steps learn it by their next one.
   */
  check(masterOf: (slot: number) => string): void {
    for (const { purpose, one } of this.#of.values()) {
      if (purpose !== 'mail') continue;
      const address = addressOf(one.address);
      const moved = [...one.users].some(({ slot }) => slot >= 0 && masterOf(slot) !== address);
      if (moved) one.giveUp(new Error('its slots moved to another node'));
    }
  }

  /** One command on a connection of its own. Rejects after `ms`. */
  once(node: NodeAddress, args: readonly string[], ms: number): Promise<unknown> {
    let end = (): void => {};
    const answer = new Promise((resolve, reject) => {
      const connection = this.#clients.connectTo(node, reject);
      const timer = setTimeout(() => reject(new Error(`${addressOf(node)} does not answer`)), ms);
      timer.unref();
      end = () => {
        clearTimeout(timer);
        connection.close();
      };
      connection.up.then(() => ask(connection, args)).then(resolve, reject);
    });
    return answer.finally(end);
  }

  close(): void {
    for (const { one } of this.#of.values()) one.giveUp(new Error('closed'));
  }
}
