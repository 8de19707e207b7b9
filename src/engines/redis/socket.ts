import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectSecured, type ConnectionOptions } from 'node:tls';
import { type Answer, ask, type RedisClients, type RedisConnection, recipeOf, ReplyError } from './client.ts';
import { commandText, ReplyReader } from './resp.ts';

/** Where one server is, and as whom it is used. */
export interface SocketOptions {
  readonly host?: string;
  readonly port?: number;
  /** A unix socket, in the place of host and port. */
  readonly path?: string;
  readonly db?: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
}

/** Connections to one server by Node's own sockets: what an address needs, at a fraction of what a general client costs. */
export function socketClients(name: string, options: SocketOptions): RedisClients {
  return {
    name,
    recipe: recipeOf('none', name, options),
    connect: (ended) => new SocketConnection(options, ended),
  };
}

/** One command that waits for its answer. */
interface Waiting {
  readonly answer: Answer;
  next: Waiting | undefined;
}

class SocketConnection implements RedisConnection {
  readonly up: Promise<void>;
  readonly #socket: Socket;
  /** The commands that were sent and not answered, in order. */
  #first: Waiting | undefined;
  #last: Waiting | undefined;
  /** What this turn of the event loop has to say, in one write. */
  #unsent = '';
  readonly #channels: Map<string, (text: string) => void> = new Map();
  #reason: Error | undefined;
  #over = false;

  constructor(options: SocketOptions, ended: (reason: Error) => void) {
    const fail = (reason: Error): void => this.#fail(reason);
    const reader = new ReplyReader((reply) => this.#replied(reply), fail);
    const socket = openSocket(options, (bytes) => reader.read(bytes));
    this.#socket = socket;
    socket.setNoDelay(true).setKeepAlive(true);
    socket.on('error', fail);
    socket.once('end', () => fail(new Error('the server closed the connection')));
    socket.once('close', () => {
      this.#over = true;
      const reason = this.#reason ?? new Error('the connection was closed');
      this.#rejectAll(reason);
      ended(reason);
    });
    this.up = new Promise((resolve) => {
      socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
        this.#introduce(options).then(() => {
          socket.unref();
          resolve();
        }, fail);
      });
    });
  }

  send(words: readonly string[], answer: Answer): void {
    if (this.#over) return process.nextTick(() => answer.reject(new Error('the connection was closed')));
    const text = commandText(words);
    if (this.#unsent === '') process.nextTick(flush, this);
    this.#unsent += text;
    const waiting: Waiting = { answer, next: undefined };
    if (this.#last === undefined) this.#first = waiting;
    else this.#last.next = waiting;
    this.#last = waiting;
  }

  /** Sends what was asked for in this turn. */
  flush(): void {
    const text = this.#unsent;
    this.#unsent = '';
    this.#socket.write(text);
  }

  async subscribe(channel: string, message: (text: string) => void, sharded = false): Promise<void> {
    this.#channels.set(channel, message);
    await ask(this, [sharded ? 'SSUBSCRIBE' : 'SUBSCRIBE', channel]);
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#channels.delete(channel);
    await ask(this, ['SUNSUBSCRIBE', channel]);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Whoever took the connection may not be the server, but something before it that finds it away: hence a PING. */
  async #introduce({ username, password, db = 0 }: SocketOptions): Promise<void> {
    const said: Promise<unknown>[] = [];
    if (password !== undefined) said.push(ask(this, ['AUTH', ...(username === undefined ? [] : [username]), password]));
    if (db !== 0) said.push(ask(this, ['SELECT', String(db)]));
    said.push(ask(this, ['PING']).catch(unlessReply));
    await Promise.all(said);
  }

  #replied(reply: unknown): void {
    if (this.#channels.size > 0 && Array.isArray(reply) && this.#delivered(reply)) return;
    const waiting = this.#first;
    if (waiting === undefined) return this.#fail(new Error('it answers what nobody asked'));
    this.#first = waiting.next;
    if (waiting.next === undefined) this.#last = undefined;
    waiting.next = undefined; // or the garbage collector takes each for alive that came behind one that has grown old
    if (reply instanceof Error) waiting.answer.reject(reply);
    else waiting.answer.resolve(reply);
  }

  /** Whether this is no answer, but mail. */
  #delivered([verb, channel, text]: unknown[]): boolean {
    const message = this.#channels.get(channel as string);
    if (verb === 'message' || verb === 'smessage') message?.(text as string);
    else if (verb !== 'sunsubscribe' || message === undefined) return false;
    else this.#fail(new Error('the slot of a channel moved to another node'));
    return true;
  }

  /** The first reason is the one that is told. */
  #fail(error: Error): void {
    this.#reason ??= reasonOf(error);
    this.#socket.destroy();
  }

  #rejectAll(reason: Error): void {
    let waiting = this.#first;
    this.#first = this.#last = undefined;
    for (; waiting !== undefined; waiting = waiting.next) waiting.answer.reject(reason);
  }
}

function flush(connection: SocketConnection): void {
  connection.flush();
}

/** All of what is read goes through one buffer, as `read` keeps nothing of it. */
function openSocket(
  { path, host = '127.0.0.1', port = 6379, tls }: SocketOptions,
  read: (bytes: Buffer) => void,
): Socket {
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(65_536),
    callback(length, bytes) {
      read((bytes as Buffer).subarray(0, length));
      return true;
    },
  };
  const place = { ...(path === undefined ? { host, port } : { path }), onread };
  if (tls === undefined) return connectPlain(place);
  const { servername, ...others } = tls;
  const named = servername === undefined || isIP(servername) !== 0 ? {} : { servername };
  return connectSecured({ ...others, ...named, ...place });
}

function unlessReply(error: unknown): void {
  if (!(error instanceof ReplyError)) throw error;
}

/** A name with several addresses fails with all of their errors, under no message. */
function reasonOf(error: Error): Error {
  return error instanceof AggregateError && error.message === '' ? (error.errors[0] as Error) : error;
}
