import { limits } from '../base/limits.ts';
import type { Loss } from '../session/leases.ts';

/** Why `subject`, a lease, is over, and what to do. */
export function lossText(subject: string, loss: Loss): string {
  const lag = loss.lagMs > limits.lagMsWorthTelling ? ` (the event loop ran ${loss.lagMs} ms late)` : '';
  return `${subject} is over: ${reasons[loss.cause]}${lag}; stop what it protects`;
}

const reasons: Readonly<Record<Loss['cause'], string>> = {
  lost: 'the store gave it to somebody else or forgot it',
  expired: 'its renewal was not confirmed in time',
  maxHold: 'it was held for as long as its maxHold allows',
  forced: 'somebody released it by force',
  closed: 'its session was closed',
};
