import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';

/** What a proxy does to the traffic; changed at any time. */
export interface Trouble {
  /** Replies are read and dropped; connections stay open. */
  swallow: boolean;
  /** Nothing passes in either direction, and nothing is lost. */
  hold: boolean;
  /** New connections are refused. */
  refuse: boolean;
  /** Before each reply: ms. */
  delayMs: number;
  /** Given what a client sends: true cuts the connection after the server has got it and before it can answer. */
  cutAfter: (request: string) => boolean;
  /** Puts another text, of the same length, in the place of what the server says. */
  say: ((reply: string) => string) | undefined;
}

export interface Proxy extends Trouble {
  /** The socket of the server that new connections lead to: another one after a failover behind one name. */
  to: string;
  readonly port: number;
  readonly address: string;
  /** Connections that were made so far. */
  readonly connections: number;
  /** Cuts all that are open. */
  cut(): void;
  close(): Promise<void>;
}

/** A TCP proxy before a server on a unix socket. */
export async function startProxy(serverSocket: string): Promise<Proxy> {
  const open = new Set<() => void>();
  const server = createServer();
  const proxy: Proxy & { port: number; address: string; connections: number } = {
    swallow: false,
    hold: false,
    refuse: false,
    delayMs: 0,
    cutAfter: () => false,
    say: undefined,
    to: serverSocket,
    port: 0,
    address: '',
    connections: 0,
    cut() {
      for (const end of open) end();
    },
    async close() {
      proxy.cut();
      server.close();
      await once(server, 'close');
    },
  };

  server.on('connection', (client) => {
    if (proxy.refuse) {
      client.destroy();
      return;
    }
    proxy.connections += 1;
    const upstream = connect(proxy.to);
    let dying = false;
    const end = (): void => {
      open.delete(end);
      client.destroy();
      upstream.destroy();
    };
    open.add(end);
    for (const socket of [client, upstream]) socket.on('error', () => {}).on('close', end);
    pass(client, upstream, (chunk) => {
      if (dying || !proxy.cutAfter(chunk.toString('latin1'))) return chunk;
      dying = true; // the server gets it, and its answer ends the connection
      return chunk;
    });
    pass(upstream, client, (chunk) => {
      if (dying) end();
      if (dying || proxy.swallow) return undefined;
      return proxy.say === undefined ? chunk : Buffer.from(proxy.say(chunk.toString('latin1')), 'latin1');
    });
  });

  function pass(from: Socket, to: Socket, through: (chunk: Buffer) => Buffer | undefined): void {
    const held: Buffer[] = [];
    const flush = (): void => {
      if (proxy.hold) return void setTimeout(flush, 5);
      for (const chunk of held.splice(0)) to.write(chunk);
    };
    from.on('data', (chunk: Buffer) => {
      const passed = through(chunk);
      if (passed === undefined) return;
      held.push(passed);
      if (proxy.delayMs > 0) setTimeout(flush, proxy.delayMs);
      else flush();
    });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.port = (server.address() as { port: number }).port;
  proxy.address = `redis://127.0.0.1:${proxy.port}`;
  return proxy;
}
