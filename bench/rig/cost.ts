import { nowMs } from './clock.ts';
import { cpuUsOf, type Store } from './stores.ts';

/** What an operation takes: µs. */
export interface Cost {
  readonly wallUs: number;
  /** CPU time of this process, all its threads. */
  readonly clientUs: number;
  /** CPU time of the server; 0 without one. */
  readonly serverUs: number;
}

/** One operation; `turn` tells it from all others that were or will be. */
export type Act = (turn: number) => Promise<unknown>;

/** Does it for so long, one after the other. */
export async function costOf(store: Pick<Store, 'server'>, windowMs: number, act: Act): Promise<Cost> {
  const { server } = store;
  const serverBefore = server === undefined ? 0 : await cpuUsOf(server);
  const before = process.cpuUsage();
  const beganMs = nowMs();
  let count = 0;
  for (; count < leastCount || nowMs() < beganMs + windowMs; count++) await act((turns += 1));
  const wallUs = (nowMs() - beganMs) * 1_000;
  const { user, system } = process.cpuUsage(before);
  const serverUs = server === undefined ? 0 : (await cpuUsOf(server)) - serverBefore;
  return { wallUs: wallUs / count, clientUs: (user + system) / count, serverUs: serverUs / count };
}

const leastCount = 3;
let turns = 0;

/** CPU time of both sides. */
export function cpuOf({ clientUs, serverUs }: Cost): number {
  return clientUs + serverUs;
}
