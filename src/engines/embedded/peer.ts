import { connect, type Socket } from 'node:net';
import { limits } from '../../base/limits.ts';

/** How the death of a session was seen: its socket refuses, or is not there any more. */
export type Death = 'refused' | 'absent';

/**
 * The way to one other session: a connection, dialled anew whenever it breaks, that carries messages and shows the
 * session's end.
 *
 * Only a socket that refuses or is absent is death. A connection that closes proves nothing (a process out of file
 * descriptors closes what it accepts), nor does a full backlog (a stopped process accepts nothing): both are tried again.
 */
export class Peer {
  readonly session: string;
  /** When it was last rung or watched, counted by whoever owns it. */
  lastUse = 0;

  readonly #address: () => string;
  readonly #dead: (peer: Peer, death: Death) => void;
  readonly #watchers = new Set<{ readonly gone: () => void }>();
  readonly #probes = new Set<(alive: boolean) => void>();
  #socket: Socket | undefined;
  #open = false;
  #retry: NodeJS.Timeout | undefined;
  #stall: NodeJS.Timeout | undefined;
  #openedMs = 0;
  #failures = 0;
  #over = false;
  #died = false;

  #unsent = '';
  #unsentCalls: (() => void)[] = [];
  /** The latest messages that were sent; whether they were read is not known. */
  #inDoubt: (() => void)[] = [];
  /** Some message surely was not read. */
  #unread = false;
  #flushes = false;
  #writes = false;

  /** Dials `address`, which may throw as system calls do. `dead` is called once, before the watchers and the callbacks of undelivered messages. */
  constructor(session: string, address: () => string, dead: (peer: Peer, death: Death) => void) {
    this.session = session;
    this.#address = address;
    this.#dead = dead;
    this.#dial();
  }

  get connected(): boolean {
    return this.#open;
  }

  /** Someone watches or asks about it, or it has something to send. */
  get busy(): boolean {
    return this.#watchers.size > 0 || this.#probes.size > 0 || this.#unsent !== '' || this.#writes;
  }

  /** Sends a message with all others of this turn. `undelivered` is called once if the session dies without reading it. */
  ring(text: string, undelivered: () => void): void {
    const line = `${JSON.stringify(text)}\n`; // up to six times as long as the text: an inbox hangs up on what is too long
    if (this.#unsent.length + line.length > limits.bellBufferLength) {
      this.#unread = true;
      this.#doubt(undelivered);
      return;
    }
    this.#unsent += line;
    this.#unsentCalls.push(undelivered);
    if (this.#flushes) return;
    this.#flushes = true;
    process.nextTick(this.#flush);
  }

  /** Calls `gone` once when the session is dead. The returned function stops that. */
  watch(gone: () => void): () => void {
    const watcher = { gone };
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** False if the session is found dead; true once it is reached, or if nothing is known after `limits.bellProbeMs`. */
  async alive(): Promise<boolean> {
    if (this.#open) await aTurn(); // its end may be there to be read
    if (this.#open) return true;
    if (this.#died) return false;
    return new Promise((resolve) => {
      const settle = (alive: boolean): void => {
        clearTimeout(limit);
        this.#probes.delete(settle);
        resolve(alive);
      };
      // What the socket has to say comes first, also after an event loop that stood still.
      const limit = setTimeout(() => setImmediate(settle, true), limits.bellProbeMs);
      this.#probes.add(settle);
    });
  }

  /** Hangs up; no callback is called any more. */
  close(): void {
    this.#over = true;
    for (const settle of this.#probes) settle(true);
    clearTimeout(this.#retry);
    clearTimeout(this.#stall);
    this.#socket?.destroy();
  }

  #dial(): void {
    let path: string;
    try {
      path = this.#address();
    } catch (error) {
      // Later, as what a socket says comes later.
      process.nextTick(() => this.#closed((error as NodeJS.ErrnoException).code));
      return;
    }
    const socket = connect({ path });
    this.#socket = socket;
    let code: string | undefined;
    socket.unref();
    socket.on('connect', () => {
      this.#open = true;
      this.#openedMs = performance.now();
      for (const settle of this.#probes) settle(true);
      this.#flush();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#closed(code));
    socket.resume();
  }

  #closed(code: string | undefined): void {
    const wasOpen = this.#open;
    this.#open = false;
    this.#writes = false;
    clearTimeout(this.#stall);
    if (this.#over) return;
    if (!wasOpen && code === 'ECONNREFUSED') return this.#die('refused');
    if (!wasOpen && code === 'ENOENT') return this.#die('absent');
    // Linux resets a socket whose owner died with something left to read.
    if (code === 'ECONNRESET' || code === 'EPIPE') this.#unread = true;
    if (wasOpen && performance.now() - this.#openedMs > limits.bellRetryMsMax) this.#failures = 0;
    this.#redial(this.#failures++);
  }

  /** At once at first: a process that dies closes its connections and its socket one after the other. */
  #redial(failures: number): void {
    if (failures < 3) return this.#dial();
    this.#retry = setTimeout(() => this.#dial(), Math.min(2 ** (failures - 3), limits.bellRetryMsMax));
    this.#retry.unref();
  }

  #die(death: Death): void {
    this.#over = true;
    this.#died = true;
    this.#dead(this, death);
    for (const settle of this.#probes) settle(false);
    // A microtask each: one that throws does not keep the others from being called.
    for (const watcher of this.#watchers) {
      queueMicrotask(() => this.#watchers.delete(watcher) && watcher.gone());
    }
    for (const undelivered of this.#unsentCalls) queueMicrotask(undelivered);
    if (this.#unread) for (const undelivered of this.#inDoubt) queueMicrotask(undelivered);
  }

  readonly #flush = (): void => {
    this.#flushes = false;
    const socket = this.#socket;
    if (socket === undefined || !this.#open || this.#writes || this.#unsent === '') return;
    const text = this.#unsent;
    for (const undelivered of this.#unsentCalls) this.#doubt(undelivered);
    this.#unsent = '';
    this.#unsentCalls = [];
    this.#writes = true;
    socket.write(text, this.#written);
    if (socket.writableLength > 0) this.#boundWrite(socket);
  };

  readonly #written = (error?: Error | null): void => {
    if (error) return; // `#closed` follows
    clearTimeout(this.#stall);
    this.#writes = false;
    this.#flush();
  };

  /** A write that waits for a stopped process would keep this one alive, whatever is unref'd. */
  #boundWrite(socket: Socket): void {
    clearTimeout(this.#stall);
    this.#stall = setTimeout(() => {
      this.#unread = true;
      socket.destroy();
    }, limits.bellStallMs);
    this.#stall.unref();
  }

  #doubt(undelivered: () => void): void {
    this.#inDoubt.push(undelivered);
    if (this.#inDoubt.length >= 2 * limits.bellDoubtMax) this.#inDoubt = this.#inDoubt.slice(-limits.bellDoubtMax);
  }
}

/** Until the event loop has looked at all sockets once. */
function aTurn(): Promise<void> {
  return new Promise((turned) => setImmediate(() => setImmediate(turned)));
}
