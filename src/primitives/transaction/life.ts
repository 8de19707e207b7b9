import { checkOptions } from '../../base/options.ts';
import type { Duration } from '../../base/duration.ts';
import { lifeOf } from '../value.ts';
import { noGuard } from './surplus.ts';

/** How long what a transaction writes lives, from its commit on, by the store's clock. */
export interface LifeOptions {
  /** At least 1 ms. Default: the `ttl` of the handle, if it has one. */
  ttl?: Duration;
}

/** What is to be there, and for how many ms: 0 is without end, -1 as long as what it replaces. */
export interface Written {
  /** undefined: deleted. */
  readonly text: string | undefined;
  readonly ms: number;
}

/** One write behind another of the same thing. */
export function over(before: Written | undefined, text: string | undefined, ms: number): Written {
  if (before === undefined || ms !== -1) return { text, ms };
  return { text, ms: before.text === undefined ? 0 : before.ms };
}

/** ms; undefined where neither the write nor its handle says it. Throws `INVALID_ARGUMENT`. */
export function msOf(options: LifeOptions | undefined, otherwise: number | undefined): number | undefined {
  if (options === undefined) return otherwise;
  if (options instanceof Object) noGuard(options);
  checkOptions('the options of a write', options, lifeOptions);
  return lifeOf(options) ?? otherwise;
}

const lifeOptions: ReadonlySet<string> = new Set(['ttl']);
