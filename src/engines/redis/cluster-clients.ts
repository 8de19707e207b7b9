import { isIP } from 'node:net';
import type { ClientRecipe, RedisConnection } from './client.ts';

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** What is known of a cluster before it is asked, and how to connect to one of its nodes. */
export interface ClusterClients {
  /** For messages, without passwords: `redis+cluster://10.0.0.1:6379,10.0.0.2:6379`. */
  readonly name: string;
  /** As that of `RedisClients`. */
  readonly recipe: ClusterRecipe | undefined;
  /** Nodes to ask first. */
  readonly seeds: readonly NodeAddress[];
  /** Where a node is for us that the cluster knows by this address. */
  translate(node: NodeAddress): NodeAddress;
  /** As that of `RedisClients`. */
  connectTo(node: NodeAddress, ended: (reason: Error) => void): RedisConnection;
}

/** What connections are for; each node has one of each at most, however many slots are worked in. */
export type Purpose = 'steps' | 'mail' | 'confirmations';

/** How clients for the nodes of a cluster are made; a thread can be given it too, unless there are functions in it. */
export interface ClusterRecipe extends ClientRecipe {
  readonly seeds: readonly NodeAddress[];
  /** Where a node is for us that the cluster knows as `host:port`: an address each, or a function that says. */
  readonly addresses?:
    | Readonly<Record<string, NodeAddress>>
    | ((address: string) => NodeAddress | undefined)
    | undefined;
}

export function clusterOf(
  recipe: ClusterRecipe,
  connectTo: (node: NodeAddress, ended: (reason: Error) => void) => RedisConnection,
): ClusterClients {
  const { name, seeds, addresses } = recipe;
  return {
    name,
    recipe: clonable(recipe),
    seeds,
    translate(node) {
      const key = addressOf(node);
      return (typeof addresses === 'function' ? addresses(key) : addresses?.[key]) ?? node;
    },
    connectTo,
  };
}

export function addressOf({ host, port }: NodeAddress): string {
  return `${host}:${port}`;
}

export function clusterName(seeds: readonly NodeAddress[]): string {
  return `redis+cluster://${seeds.map(addressOf).join(',')}`;
}

/** A certificate is for the name of the node that is asked. */
export function withServername(options: object, host: string): object {
  return 'servername' in options || isIP(host) !== 0 ? options : { ...options, servername: host };
}

function clonable(recipe: ClusterRecipe): ClusterRecipe | undefined {
  try {
    return structuredClone(recipe);
  } catch {
    return undefined;
  }
}
