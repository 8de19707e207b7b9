import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { LeaseView } from './lease-table.ts';
import { Renewals, type Renew } from './renewals.ts';

/** What a thread is given at its start. `store` is what the engine's own entry file needs to open a connection. */
export interface ThreadStart<Store> {
  readonly control: Int32Array;
  readonly memory: readonly SharedArrayBuffer[];
  readonly store: Store;
}

/** What a thread says: that it renews from now on, or that a lease is lost. */
export type ThreadWord = 'up' | { readonly lost: number };

/** For the engine's entry file: what it was given by `openKeepers`. */
export function threadStore<Store>(): Store {
  return (workerData as ThreadStart<Store>).store;
}

/** Beside renewal. */
export interface ThreadLife {
  /** Done when the holder asks for it, between renewals. From `keepOut` on the holder stays out of the store. */
  readonly errand?: (keepOut: () => void) => void;
  /** The event loop turns while the thread sleeps: for connections that have to come back meanwhile. */
  readonly turning?: true;
}

/** The life of a thread that renews leases: returns when the holder closes. Sleeps without turning its event loop. */
export async function renewOnThisThread(renew: Renew, { errand, turning }: ThreadLife = {}): Promise<void> {
  const { control, memory } = workerData as ThreadStart<unknown>;
  const port = parentPort!;
  const say = (words: ThreadWord): void => port.postMessage(words);
  const view = new LeaseView(control, memory);
  const renewals = new Renewals(view, systemClock, renew, (handle) => say({ lost: handle }));
  const awake = turning === true ? setInterval(() => {}, limits.timerMsMax) : undefined; // else the thread would end
  say('up');
  for (;;) {
    const bell = view.awake();
    if (view.closed) return clearInterval(awake);
    for (let grown = receiveMessageOnPort(port); grown !== undefined; grown = receiveMessageOnPort(port)) {
      view.add(grown.message as SharedArrayBuffer);
    }
    const nextMs = await renewals.turn();
    if (view.errandIsAsked) {
      errand?.(() => view.keepOut());
      view.errandIsOver();
    }
    const now = systemClock.monotonicMs();
    if (turning === true) await view.doze(bell, now, nextMs);
    else view.sleep(bell, now, nextMs);
  }
}
