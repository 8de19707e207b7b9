/** So many turns are asked for at once: the event loop itself costs more than a turn. */
const turnsAtOnce = 32;

/** Does it again and again, while it says so, and each time all that follows from it: promises, and what waits for them. */
export function inTurns(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const once = (): void => {
      if (isOver) return;
      try {
        isOver = !step();
        if (isOver) resolve();
      } catch (error) {
        isOver = true;
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- as it was thrown
        reject(error);
      }
    };
    const many = (): void => {
      for (let i = 1; i < turnsAtOnce && !isOver; i++) setImmediate(once);
      if (!isOver) setImmediate(many);
      once();
    };
    many();
  });
}

/** The same for what asks for turns of the event loop itself, as a ballot does: it gets them before the next step. */
export async function inFullTurns(step: () => boolean): Promise<void> {
  while (step()) for (let i = 0; i < 3; i++) await turn();
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
