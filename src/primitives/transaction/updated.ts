import type { ValueCodec, Where } from '../../base/codec.ts';

/**
 * Puts what `change` makes of the value of a text: the new value. Where neither it nor the codec is asynchronous, no other call
 * of the body comes between what it gets and what is put.
 */
export async function updated<V>(
  codec: ValueCodec<V>,
  where: Where,
  text: string | undefined,
  change: (now: V | undefined) => V | Promise<V>,
  put: (text: string) => void,
): Promise<V> {
  const now = text === undefined ? undefined : codec.decode(where, text);
  const made = change(now instanceof Promise ? await now : now);
  const value = isLater(made) ? await made : made;
  const next = codec.encode(where, value);
  put(typeof next === 'string' ? next : await next);
  return value;
}

/** Whether what a change made is to be waited for: also promises of other libraries are. */
function isLater<V>(made: V | Promise<V>): made is Promise<V> {
  return typeof (made as Partial<Promise<V>> | null | undefined)?.then === 'function';
}
