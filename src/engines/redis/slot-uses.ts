/** Which slots of a cluster are in use: what is held there, and when each was used last. */
export class SlotUses {
  /** Monotonic ms. */
  readonly #usedAt: Map<number, number> = new Map();
  readonly #held: Map<number, number> = new Map();

  use(slot: number): void {
    this.#usedAt.set(slot, performance.now());
  }

  /** In use until the returned function is called, once. */
  hold(slot: number): () => void {
    this.#held.set(slot, (this.#held.get(slot) ?? 0) + 1);
    return () => {
      this.use(slot);
      const left = this.#held.get(slot)! - 1;
      if (left === 0) this.#held.delete(slot);
      else this.#held.set(slot, left);
    };
  }

  /** Those that were not in use for `ms`; it knows of them no more. */
  takeIdle(ms: number): number[] {
    const longAgo = performance.now() - ms;
    const idle = [...this.#usedAt].filter(([slot, usedAt]) => usedAt < longAgo && !this.#held.has(slot));
    for (const [slot] of idle) this.#usedAt.delete(slot);
    return idle.map(([slot]) => slot);
  }
}
