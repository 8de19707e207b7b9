/** So many places of those that are gone are kept at most, before the others move up. */
const gapMax = 64;

/**
 * What is under way, in the order in which it began; mostly the first is over first. Here instead of a `Set`, as that makes
 * a new table every few additions, the old one points to the new one, and the garbage collector then takes all
 * that came behind an old one for alive: a tenth of all that a busy client allocates.
 */
export class InOrder<T> {
  #items: (T | undefined)[] = [];
  /** The place of the first. */
  #from = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#items[this.#from];
  }

  add(item: T): void {
    this.#items.push(item);
    this.#size += 1;
  }

  has(item: T): boolean {
    return this.#items.includes(item, this.#from);
  }

  /** True if it was there. */
  delete(item: T): boolean {
    const items = this.#items;
    const at = items.indexOf(item, this.#from);
    if (at === -1) return false;
    items[at] = undefined;
    this.#size -= 1;
    while (this.#from < items.length && items[this.#from] === undefined) this.#from += 1;
    if (this.#from === items.length || this.#from > gapMax) {
      items.splice(0, this.#from);
      this.#from = 0;
    }
    return true;
  }

  /** Takes all of them out. */
  clear(): T[] {
    const all = [...this];
    this.#items = [];
    this.#from = 0;
    this.#size = 0;
    return all;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#from; at < this.#items.length; at++) {
      const item = this.#items[at];
      if (item !== undefined) yield item;
    }
  }
}
