/** One call of one client, as the client saw it. */
export interface Call<Input, Output> {
  readonly client: string;
  readonly input: Input;
  /** What came back; nothing where that is not known. */
  readonly output: Output | undefined;
  /** When it was sent, and when it came back: any one clock. `end` is Infinity where it may take effect at any time, or never. */
  readonly start: number;
  readonly end: number;
}

/** What a thing is: its states, and what each call makes of them. A checker's own, written without a look at the product. */
export interface Model<State, Input, Output> {
  readonly name: string;
  readonly initial: State;
  /** The state after the call; nothing where the call can't have that output there. An output that is not known is any. */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal for equal states. */
  key(state: State): string;
  /** Calls of different parts don't touch each other: a history is linearizable if each part is. */
  part?(input: Input): string;
  /** Whether a call that returned left the state as it was, wherever it took effect: it can then be left out. */
  isRead(call: Call<Input, Output>): boolean;
  /** Every state that these calls can lead to, where those are few: a history can then be cut at its beginning too. */
  states?(calls: readonly Call<Input, Output>[]): State[];
  /** For people: `cas 1 → 2`, and what came of it. */
  text(call: Call<Input, Output>): string;
}
