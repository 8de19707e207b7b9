/** Handles that must be one object for one name, for as long as somebody uses them. */
export class Handles<T extends object> {
  readonly #handles: Map<string, WeakRef<T>> = new Map();
  readonly #unused: FinalizationRegistry<string> = new FinalizationRegistry((name) => {
    if (this.#handles.get(name)?.deref() === undefined) this.#handles.delete(name);
  });

  of(name: string, make: () => T): T {
    const known = this.#handles.get(name)?.deref();
    if (known !== undefined) return known;
    const made = make();
    this.#handles.set(name, new WeakRef(made));
    this.#unused.register(made, name);
    return made;
  }
}
