import { createHash } from 'node:crypto';
import { limits } from '../base/limits.ts';

/** Something of many parts, each with a name and a text: entries of a map, members of a set. */
export interface Parts {
  /** All that are there from beginning to end; what is written meanwhile may come or not. */
  all(): AsyncIterable<readonly [name: string, text: string]>;
  /** Those of the names, at most `limits.entriesPerStepMax`, that are there. */
  some(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/**
 * What is new to one watch of something of many parts. It remembers all names, and short texts or the SHA-1 of long ones:
 * not before they are given, as a reading may break off.
 */
export class News {
  readonly #parts: Parts;
  readonly #marks: Map<string, string> = new Map();
  #isNew = true;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * The parts that are not what they were, at most 1,000 at a time; undefined where one is gone. The first time there is
   * something to give, if only nothing. `changes`: see `Watched.read`; '' among them is everything.
   */
  async *since(changes: readonly string[] | undefined): AsyncGenerator<ReadonlyMap<string, string | undefined>> {
    if (changes === undefined || changes.includes('')) yield* this.#ofAll();
    else yield* this.#of(changes);
  }

  async *#ofAll(): AsyncGenerator<ReadonlyMap<string, string | undefined>> {
    const gone = new Set(this.#marks.keys());
    let batch = new Map<string, string | undefined>();
    for await (const [name, text] of this.#parts.all()) {
      gone.delete(name);
      if (!this.#isNews(name, text)) continue;
      batch.set(name, text);
      if (batch.size < limits.entriesPerStepMax) continue;
      yield this.#given(batch);
      batch = new Map();
    }
    if (batch.size > 0 || this.#isNew) yield this.#given(batch);
    yield* this.#of([...gone]); // some may only have been passed by
  }

  async *#of(names: readonly string[]): AsyncGenerator<ReadonlyMap<string, string | undefined>> {
    for (let i = 0; i < names.length; i += limits.entriesPerStepMax) {
      const some = names.slice(i, i + limits.entriesPerStepMax);
      const found = await this.#parts.some(some);
      const batch = new Map<string, string | undefined>();
      for (const name of some) {
        if (this.#isNews(name, found.get(name))) batch.set(name, found.get(name));
      }
      if (batch.size > 0) yield this.#given(batch);
    }
  }

  #isNews(name: string, text: string | undefined): boolean {
    return this.#marks.get(name) !== (text === undefined ? undefined : markOf(text));
  }

  #given(batch: ReadonlyMap<string, string | undefined>): ReadonlyMap<string, string | undefined> {
    for (const [name, text] of batch) {
      if (text === undefined) this.#marks.delete(name);
      else this.#marks.set(name, markOf(text));
    }
    this.#isNew = false;
    return batch;
  }
}

/** Equal for equal texts, and not long. */
export function markOf(text: string): string {
  return text.length < 40 ? text : createHash('sha1').update(text).digest('hex');
}
