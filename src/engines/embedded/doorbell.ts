import { existsSync, renameSync, unlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { limits } from '../../base/limits.ts';
import { LockstepError } from '../../base/errors.ts';
import type { Doorbell } from '../engine.ts';
import { makeLevels, shortened } from './file-system.ts';
import { type Death, Peer } from './peer.ts';
import { onWindows, type SocketPaths, socketPathError, socketPaths } from './socket-paths.ts';

/**
 * How the sessions that share a directory wake each other and see each other die: a unix domain socket a session,
 * `bells/SESSION` in the directory (a named pipe on Windows). A socket lives exactly as long as its thread, so a
 * connection to it tells of a crash within about a millisecond; a stopped or busy session keeps its socket.
 */
export interface Doorbells {
  /** Opens the inbox of a session. An id is used once, for ever. Rejects with `UNAVAILABLE` where no socket can be made. */
  listen(session: string, inbox: BellInbox): Promise<Doorbell>;
  /** False if the session certainly does not listen: it is dead or closed, and its socket was cleared away. */
  listens(session: string): boolean;
  /**
   * Puts a message into the inbox of a session: in order, together with all others of this turn. A hint: lost where the
   * session takes nothing. `undelivered` is called once if the session is dead and may not have read it.
   */
  ring(session: string, text: string, undelivered: () => void): void;
  /** Calls `gone` once, never before `watch` returns, when the session is dead or closed. The returned function stops that. */
  watch(session: string, gone: () => void): () => void;
  /** False if the session is surely dead or closed; true if it listens, or nothing is known after `limits.bellProbeMs`. */
  alive(session: string): Promise<boolean>;
  /** Closes the inboxes and hangs up. Idempotent. */
  close(): Promise<void>;
}

export interface BellInbox {
  message(text: string): void;
}

export interface DoorbellsOptions {
  /** A session was found dead that left its socket behind. May be told more than once, by several processes. */
  dead?(session: string): void;
}

/** Makes the doorbells of a directory. Touches nothing before the first call. */
export function openDoorbells(directory: string, options: DoorbellsOptions = {}): Doorbells {
  return new DirectoryDoorbells(resolve(directory), options);
}

interface Local {
  readonly inbox: BellInbox;
  readonly watchers: Set<{ readonly gone: () => void }>;
}

class DirectoryDoorbells implements Doorbells {
  readonly #directory: string;
  readonly #paths: SocketPaths;
  readonly #options: DoorbellsOptions;
  readonly #locals = new Map<string, Local>();
  readonly #bells = new Set<Doorbell>();
  readonly #peers = new Map<string, Peer>();
  #sweep: NodeJS.Timeout | undefined;
  #uses = 0;
  #usesAtSweep = 0;
  #closed = false;

  constructor(directory: string, options: DoorbellsOptions) {
    this.#directory = directory;
    this.#paths = socketPaths(directory);
    this.#options = options;
  }

  async listen(session: string, inbox: BellInbox): Promise<Doorbell> {
    if (this.#closed) throw closedError(this.#directory);
    const server = await openInbox(this.#directory, this.#paths, session, inbox);
    const local: Local = { inbox, watchers: new Set() };
    this.#locals.set(session, local);
    const bell: Doorbell = {
      ref: () => server.ref(),
      unref: () => server.unref(),
      close: async () => {
        if (!this.#bells.delete(bell)) return;
        this.#locals.delete(session);
        for (const watcher of local.watchers) {
          queueMicrotask(() => local.watchers.delete(watcher) && watcher.gone());
        }
        await server.close();
      },
    };
    this.#bells.add(bell);
    if (this.#closed) await bell.close();
    this.#probe(session).catch(() => {}); // it only tidies up
    return bell;
  }

  ring(session: string, text: string, undelivered: () => void): void {
    if (this.#closed) return;
    if (this.#locals.has(session)) return this.#deliver(session, text, undelivered);
    this.#peer(session).ring(text, undelivered);
  }

  listens(session: string): boolean {
    if (this.#locals.has(session) || this.#peers.get(session)?.connected === true) return true;
    return onWindows || existsSync(this.#paths.file(session));
  }

  watch(session: string, gone: () => void): () => void {
    if (this.#closed) return () => {};
    const local = this.#locals.get(session);
    if (local === undefined) return this.#peer(session).watch(gone);
    const watcher = { gone };
    local.watchers.add(watcher);
    return () => {
      local.watchers.delete(watcher);
    };
  }

  async alive(session: string): Promise<boolean> {
    if (!this.listens(session)) return false;
    if (this.#closed || this.#locals.has(session)) return true;
    return this.#peer(session).alive();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
    await Promise.all([...this.#bells].map((bell) => bell.close()));
    this.#paths.close();
  }

  #deliver(session: string, text: string, undelivered: () => void): void {
    queueMicrotask(() => {
      const local = this.#locals.get(session);
      if (local === undefined) undelivered();
      else local.inbox.message(text);
    });
  }

  #peer(session: string): Peer {
    let peer = this.#peers.get(session);
    if (peer === undefined) {
      this.#makeRoom();
      peer = new Peer(session, () => this.#paths.address(session), this.#dead);
      this.#peers.set(session, peer);
      this.#sweep ??= setInterval(this.#closeIdle, limits.bellIdleMs).unref();
    }
    peer.lastUse = ++this.#uses;
    return peer;
  }

  readonly #dead = (peer: Peer, death: Death): void => {
    this.#peers.delete(peer.session);
    if (death === 'refused') this.#clearAway(peer.session);
  };

  /** Safe, as the id will never be used again, and a living session's socket has its name only once it listens. */
  #clearAway(session: string): void {
    this.#options.dead?.(session);
    if (onWindows) return;
    try {
      unlinkSync(this.#paths.file(session));
    } catch {
      // Another session was faster, or the directory is read-only for us: nothing depends on it.
    }
  }

  #makeRoom(): void {
    if (this.#peers.size < limits.bellConnectionsMax) return;
    let oldest: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (!peer.busy && (oldest === undefined || peer.lastUse < oldest.lastUse)) oldest = peer;
    }
    if (oldest !== undefined) this.#hangUp(oldest);
  }

  readonly #closeIdle = (): void => {
    for (const peer of this.#peers.values()) {
      if (!peer.busy && peer.lastUse <= this.#usesAtSweep) this.#hangUp(peer);
    }
    this.#usesAtSweep = this.#uses;
    if (this.#peers.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  };

  #hangUp(peer: Peer): void {
    this.#peers.delete(peer.session);
    peer.close();
  }

  /** Looks at a few sockets of others, so that what the dead left does not pile up. */
  async #probe(own: string): Promise<void> {
    if (onWindows) return;
    const names = await readdir(join(this.#directory, 'bells'));
    for (let i = 0; i < limits.bellProbes && names.length > 0; i++) {
      const at = Math.floor(Math.random() * names.length);
      const name = names[at]!;
      names[at] = names.at(-1)!;
      names.pop();
      if (this.#closed) return;
      // A name that begins with a dot is that of a session which is about to listen.
      if (name !== own && !name.startsWith('.') && !this.#locals.has(name)) this.#peer(name);
    }
  }
}

interface OpenInbox {
  ref(): void;
  unref(): void;
  close(): Promise<void>;
}

async function openInbox(directory: string, paths: SocketPaths, session: string, inbox: BellInbox): Promise<OpenInbox> {
  const tooLong = socketPathError(directory);
  if (tooLong !== undefined) throw tooLong;
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    read(connection, inbox);
  });
  server.unref();
  try {
    await bind(server, paths, session);
  } catch (error) {
    server.close();
    throw new LockstepError('UNAVAILABLE', unavailableText(directory, error), { cause: error, details: { directory } });
  }
  server.on('error', () => {}); // out of file descriptors: whoever dials tries again
  return {
    ref: () => void server.ref(),
    unref: () => void server.unref(),
    close: () =>
      new Promise((done) => {
        unlink(paths.file(session));
        server.close(() => done());
        for (const connection of connections) connection.destroy();
      }),
  };
}

/** A socket that is bound but does not listen yet refuses like a dead one: it gets its name afterwards. */
async function bind(server: Server, paths: SocketPaths, session: string): Promise<void> {
  const early = onWindows ? session : `.${session}`;
  const file = paths.file(session);
  if (!onWindows) makeLevels(dirname(file));
  const path = paths.address(early);
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    // `exclusive`: in a worker of node:cluster, the primary process would own the socket.
    server.listen({ path, exclusive: true, backlog: 511 }, () => {
      server.off('error', failed);
      done();
    });
  });
  if (!onWindows) renameSync(paths.file(early), file);
}

function read(connection: Socket, inbox: BellInbox): void {
  let rest: Buffer | undefined;
  connection.unref();
  connection.on('error', () => {}); // the other side died; `close` follows
  connection.on('data', (chunk: Buffer) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(newline);
    rest = end + 1 < bytes.length ? bytes.subarray(end + 1) : undefined;
    if (rest !== undefined && rest.length > limits.bellMessageBytesMax) connection.destroy();
    if (end === -1) return;
    for (const line of bytes.toString('utf8', 0, end).split('\n')) {
      const text = parse(line);
      if (text === undefined) return void connection.destroy();
      if (!connection.destroyed) inbox.message(text);
    }
  });
}

const newline = 10;

function parse(line: string): string | undefined {
  try {
    const text: unknown = JSON.parse(line);
    return typeof text === 'string' ? text : undefined;
  } catch {
    return undefined;
  }
}

function unlink(path: string): void {
  if (onWindows) return;
  try {
    unlinkSync(path);
  } catch {
    // gone already
  }
}

function unavailableText(directory: string, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return (
    `No socket can be made in ${shortened(join(directory, 'bells'))}, which is how the sessions of this directory wake each other ` +
    `(${reason}). Check that the directory is on a local disk and that this user may write to it.`
  );
}

function closedError(directory: string): LockstepError {
  return new LockstepError('CLOSED', `The directory ${shortened(directory)} was closed. Open it again.`);
}
