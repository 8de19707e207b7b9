/** What can be asked of a store for many callers in one step. */
export interface BatchTerms<Item, Reply> {
  /** The items of one step. */
  readonly itemsMax: number;
  /** Their weight, where each has one. */
  readonly weightMax?: number;
  weight?(item: Item): number;
  /** A reply for each item, in order. */
  send(items: readonly Item[]): Promise<readonly Reply[]>;
}

interface Asked<Item, Reply> {
  readonly item: Item;
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

/**
 * Calls of one turn of the event loop go to the store as one step; what comes while a step is on its way goes with the
 * next. Calls take effect in their order.
 */
export class Batch<Item, Reply> {
  readonly #terms: BatchTerms<Item, Reply>;
  #line: Asked<Item, Reply>[] = [];
  #scheduled = false;
  #sending = false;

  constructor(terms: BatchTerms<Item, Reply>) {
    this.#terms = terms;
  }

  add(item: Item): Promise<Reply> {
    return new Promise((resolve, reject) => this.ask(item, resolve, reject));
  }

  /** As `add`, without a promise: one of both is called, and does not throw. */
  ask(item: Item, resolve: (reply: Reply) => void, reject: (error: unknown) => void): void {
    this.#line.push({ item, resolve, reject });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#sending) return;
    this.#scheduled = true;
    // After all that other promises of this turn lead to, so that their calls can join.
    process.nextTick(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const asked = this.#next();
    if (asked.length === 0) return;
    this.#sending = true;
    this.#terms
      .send(asked.map(({ item }) => item))
      .then(
        (replies) => asked.forEach((one, i) => one.resolve(replies[i]!)),
        (error: unknown) => asked.forEach((one) => one.reject(error)),
      )
      .finally(() => {
        this.#sending = false;
        if (this.#line.length > 0) this.#schedule();
      });
  }

  #next(): Asked<Item, Reply>[] {
    const { itemsMax, weightMax = Infinity, weight } = this.#terms;
    if (weight === undefined && this.#line.length <= itemsMax) return this.#line.splice(0);
    let total = 0;
    let count = 0;
    while (count < Math.min(itemsMax, this.#line.length)) {
      total += weight?.(this.#line[count]!.item) ?? 0;
      if (count > 0 && total > weightMax) break;
      count += 1;
    }
    return this.#line.splice(0, count);
  }
}
