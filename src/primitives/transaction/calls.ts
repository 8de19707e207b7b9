/** The calls of one run of a body: how many have not ended, and which failed. */
export class Calls {
  pending = 0;
  #failed: Failed[] | undefined;

  /** A call that failed at once. */
  failed<R>(error: unknown): Promise<R> {
    const call = new Call<R>((_, reject) => reject(error));
    this.fail(call, error);
    return call;
  }

  fail(call: Call<unknown>, error: unknown): void {
    call.answerFor();
    (this.#failed ??= []).push({ call, error });
  }

  /** The first one that failed without that anybody heard of it. */
  get unheard(): Failed | undefined {
    return this.#failed?.find(({ call }) => !call.heard);
  }
}

interface Failed {
  readonly call: Call<unknown>;
  readonly error: unknown;
}

/** A call that has not ended: it waits for what a read gives, does its work with that, and perhaps waits for the work. */
export class PendingCall<R> {
  /** What the caller gets. */
  readonly promise: Call<R>;
  readonly #calls: Calls;
  #resolve!: (value: R) => void;
  #reject!: (error: unknown) => void;

  constructor(calls: Calls) {
    this.#calls = calls;
    this.promise = new Call((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    calls.pending += 1;
  }

  /** Works with what a read gives, in the async context of the caller: the step that reads is of many. */
  begin(read: Promise<readonly string[]>, work: (texts: readonly string[]) => R | Promise<R>): void {
    read.then(
      (texts) => this.#came(texts, work),
      (error: unknown) => this.#fail(error),
    );
  }

  #came(texts: readonly string[], work: (texts: readonly string[]) => R | Promise<R>): void {
    let result: R | Promise<R>;
    try {
      result = work(texts);
    } catch (error) {
      return this.#fail(error);
    }
    if (result instanceof Promise) this.goOn(result);
    else this.#done(result);
  }

  /** Ends as its work does. */
  goOn(work: Promise<R>): void {
    work.then(
      (value) => this.#done(value),
      (error: unknown) => this.#fail(error),
    );
  }

  #fail(error: unknown): void {
    this.#calls.pending -= 1;
    this.#calls.fail(this.promise, error);
    this.#reject(error);
  }

  #done(value: R): void {
    this.#calls.pending -= 1;
    this.#resolve(value);
  }
}

/** The promise of a call, which knows whether anybody waits for it. */
class Call<R> extends Promise<R> {
  heard = false;

  /** What is made of it is a plain promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise, and must know who waits for it
  override then<A = R, B = never>(
    done?: ((value: R) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.heard = true;
    return super.then(done, failed);
  }

  /** It failed: where nobody hears of that, the transaction tells of it. */
  answerFor(): void {
    super.then(undefined, () => {});
  }
}
