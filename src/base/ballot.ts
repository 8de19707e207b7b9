import type { Clock } from './clock.ts';

/** What one of those who were asked said. */
export type Answer<R> = { readonly reply: R } | { readonly error: Error };

/** What all said so far, in the order in which they were asked; undefined: nothing yet. It goes on being filled. */
export type Answers<R> = readonly (Answer<R> | undefined)[];

/** More than half of `count`. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** How many replied, and their reply is such a one. */
export function countReplies<R>(answers: Answers<R>, isSuch: (reply: R) => boolean = () => true): number {
  return answers.filter((answer) => answer !== undefined && 'reply' in answer && isSuch(answer.reply)).length;
}

/** How many failed. */
export function countErrors(answers: Answers<unknown>): number {
  return answers.filter((answer) => answer !== undefined && 'error' in answer).length;
}

/** Resolves as soon as `isDecided` by the answers, all are there, or `ms` have passed. Never rejects. */
export function ballot<R>(
  asked: readonly Promise<R>[],
  clock: Clock,
  ms: number,
  isDecided: (answers: Answers<R>) => boolean,
): Promise<Answers<R>> {
  const answers: (Answer<R> | undefined)[] = asked.map(() => undefined);
  let open = asked.length;
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      resolve(answers);
    };
    // After an event loop that stood still, answers may be there that nobody read yet: they come first.
    const timer = clock.timer(ms, () => setImmediate(() => setImmediate(end)));
    const hear = (place: number, answer: Answer<R>): void => {
      answers[place] = answer;
      open -= 1;
      if (open === 0 || isDecided(answers)) end();
    };
    for (const [place, one] of asked.entries()) {
      one.then(
        (reply) => hear(place, { reply }),
        (error: unknown) => hear(place, { error: error as Error }),
      );
    }
  });
}
