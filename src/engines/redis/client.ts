/**
 * What is asked of a Redis client: all that this engine knows of ioredis and node-redis. A connection lives once: it
 * neither reconnects nor resends, as a client that does so by itself executes a step twice when it is cut off before
 * the reply. `Link` makes the next one.
 */
export interface RedisClients {
  /** For messages, without passwords: `redis://127.0.0.1:6379`. */
  readonly name: string;
  /** How a thread can make the same connections; undefined where the options hold functions, which can't be sent there. */
  readonly recipe: ClientRecipe | undefined;
  /** Begins a connection. `ended` is called once when it is over, also if it never was up. */
  connect(ended: (reason: Error) => void): RedisConnection;
}

/** One connection. It does not keep the process alive once it is up. */
export interface RedisConnection {
  /** It is up. Never rejects: `ended` is called instead. */
  readonly up: Promise<void>;
  /**
   * Sends one command, in this turn of the event loop. Replies are texts, integers and arrays of them. Rejects with
   * `ReplyError` if the server refused it, with any other error if the connection was lost: nobody knows then whether
   * it was carried out.
   */
  send(words: readonly string[], answer: Answer): void;
  /**
   * Resolves when the server has confirmed. `sharded`: to a channel of a slot of a cluster; the connection ends when the
   * slot moves away.
   */
  subscribe(channel: string, message: (text: string) => void, sharded?: boolean): Promise<void>;
  /** Leaves a channel of a slot. */
  unsubscribe(channel: string): Promise<void>;
  /** What to do about a refusal: absent or undefined where it is final, 'elsewhere' where another connection may do. */
  refused?(error: Error): 'elsewhere' | undefined;
  /** Ends it at once; what is under way is rejected. */
  close(): void;
}

/** Who hears what came of a command: one of the two, once. A promise for each command would cost more. */
export interface Answer {
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

/** Makes of a client's error the one that users get. */
export type Explained = (error: unknown) => unknown;

/** Sends one command for whoever awaits its reply. */
export function ask(connection: RedisConnection, words: readonly string[]): Promise<unknown> {
  return new Promise((resolve, reject) => connection.send(words, { resolve, reject }));
}

/** A ready client of ioredis or node-redis, as far as types tell. */
export interface ReadyClient {
  duplicate(...options: never[]): unknown;
}

/** Options of a client that can be cloned. */
export interface ClientRecipe {
  readonly library: 'ioredis' | 'redis' | 'none';
  readonly name: string;
  readonly options: object;
}

/** An error that the server replied with: it begins with a word such as `OOM`. */
export class ReplyError extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = 'ReplyError';
  }

  /** `NOSCRIPT`, `LOADING`, …; what a script met, where the server only says so further on in its text. */
  get word(): string {
    if (this.message.includes('user executing the script')) return 'NOPERM';
    const before7 = /@user_script: ?\d+: -([A-Z]+) /.exec(this.message)?.[1];
    return before7 ?? /^[A-Z0-9]+/.exec(this.message)?.[0] ?? '';
  }
}

/** Options that a thread can be given too, or undefined. */
export function recipeOf(library: ClientRecipe['library'], name: string, options: object): ClientRecipe | undefined {
  try {
    return { library, name, options: structuredClone(options) };
  } catch {
    return undefined;
  }
}
