/** What a read gave, and when: reads of one moment are consistent with each other. */
export interface Known {
  readonly texts: readonly string[];
  /** The number of a step; 0: not known to be true of any moment. */
  readonly moment: number;
}

/** What a transaction left behind: what a read would give now. */
export interface Left {
  readonly name: string;
  readonly id: string;
  readonly texts: readonly string[];
}

interface Line {
  readonly turns: Turn[];
  /** By read: what whoever had the last turn left. */
  readonly left: Map<string, readonly string[]>;
}

/**
 * The transactions of one session that commit what overlaps take turns, so that they do not run into each other in the
 * store; each begins with what the one before it left. Whoever asks gets in line for all its names at once, so none waits
 * for one that waits for it.
 */
export class Turns {
  readonly #lines: Map<string, Line> = new Map();

  take(names: ReadonlySet<string>): Turn {
    const turn = new Turn(this.#lines, names);
    for (const name of names) {
      const line = this.#lines.get(name);
      if (line === undefined) this.#lines.set(name, { turns: [turn], left: new Map() });
      else {
        line.turns.push(turn);
        turn.ahead += 1;
      }
    }
    if (turn.ahead > 0) turn.granted = new Promise((grant) => (turn.grant = grant));
    return turn;
  }
}

/** A place in line. */
export class Turn {
  readonly names: ReadonlySet<string>;
  /** In so many lines somebody stands before it. */
  ahead = 0;
  /** Nothing: it was first everywhere. */
  granted: Promise<void> | undefined;
  grant: () => void = () => {};
  readonly #lines: Map<string, Line>;
  #ended = false;

  constructor(lines: Map<string, Line>, names: ReadonlySet<string>) {
    this.#lines = lines;
    this.names = names;
  }

  /** What the one before left of this. */
  left(name: string, id: string): readonly string[] | undefined {
    return this.#lines.get(name)?.left.get(id);
  }

  /** Leaves all lines, also before it was granted. Idempotent. */
  end(left: readonly Left[]): void {
    if (this.#ended) return;
    this.#ended = true;
    const granted: Turn[] = [];
    for (const name of this.names) {
      const line = this.#lines.get(name)!;
      const place = line.turns.indexOf(this);
      line.turns.splice(place, 1);
      const next = line.turns[0];
      if (next === undefined) this.#lines.delete(name);
      else if (place === 0 && (next.ahead -= 1) === 0) granted.push(next);
    }
    for (const { name, id, texts } of left) this.#lines.get(name)?.left.set(id, texts);
    for (const turn of granted) turn.grant();
  }
}
