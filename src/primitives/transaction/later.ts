/** Whether what a change made is to be waited for: also promises of other libraries are. */
export function isLater<V>(made: V | Promise<V>): made is Promise<V> {
  return typeof (made as Partial<Promise<V>> | null | undefined)?.then === 'function';
}
