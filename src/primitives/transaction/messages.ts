import type { Attempt } from './attempt.ts';

/** How messages get into a queue or a topic. */
export interface Messages<T, Options> {
  readonly what: string;
  /** What a commit is told of a message beside its text. Throws `INVALID_ARGUMENT`. */
  told(options: Options): string;
  text(item: T): string | Promise<string>;
  put(told: string, text: string): void;
}

/** A call that gives a message to a queue or a topic. `more`: see `Attempt.call`. */
export function give<T, Options>(
  attempt: Attempt,
  { what, told, text, put }: Messages<T, Options>,
  item: T,
  options: Options,
  more: unknown,
): Promise<void> {
  const work = (): void | Promise<void> => {
    const how = told(options);
    const payload = text(item);
    return typeof payload === 'string' ? put(how, payload) : payload.then((later) => put(how, later));
  };
  return attempt.call(what, work, more);
}
