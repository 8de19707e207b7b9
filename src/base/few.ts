interface Entry<V> {
  readonly key: string;
  value: V;
  next: Entry<V> | undefined;
}

/** Up to so many, a walk along the chain is as quick as an index. */
const chainMax = 8;

/**
 * A map in the order in which its keys came, for where there are mostly a few: these are a chain, which costs a fraction of
 * what a `Map` does to make. A longer one has an index too.
 */
export class Few<V> {
  size = 0;
  #first: Entry<V> | undefined;
  #last: Entry<V> | undefined;
  #index: Map<string, Entry<V>> | undefined;

  get(key: string): V | undefined {
    return this.#at(key)?.value;
  }

  has(key: string): boolean {
    return this.#at(key) !== undefined;
  }

  set(key: string, value: V): void {
    const there = this.#at(key);
    if (there !== undefined) {
      there.value = value;
      return;
    }
    const entry: Entry<V> = { key, value, next: undefined };
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.size += 1;
    if (this.#index !== undefined) this.#index.set(key, entry);
    else if (this.size > chainMax) this.#index = this.#indexed();
  }

  forEach(use: (value: V, key: string) => void): void {
    for (let entry = this.#first; entry !== undefined; entry = entry.next) use(entry.value, entry.key);
  }

  values(): V[] {
    const values: V[] = [];
    for (let entry = this.#first; entry !== undefined; entry = entry.next) values.push(entry.value);
    return values;
  }

  #at(key: string): Entry<V> | undefined {
    if (this.#index !== undefined) return this.#index.get(key);
    let entry = this.#first;
    while (entry !== undefined && entry.key !== key) entry = entry.next;
    return entry;
  }

  #indexed(): Map<string, Entry<V>> {
    const index = new Map<string, Entry<V>>();
    for (let entry = this.#first; entry !== undefined; entry = entry.next) index.set(entry.key, entry);
    return index;
  }
}
