import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { nowMs } from '../faults/programs/now.ts';

/** One line of a client's log: a call begins, what is known of it, how it ended. Lines of one call have its number. */
export interface Line {
  readonly call: number;
  /** By a clock that all processes of the machine share: ms. */
  readonly at: number;
  /** It begins: what is asked of which thing. */
  readonly begins?: { readonly thing: string; readonly input: unknown; readonly task: string };
  /** What a body that may run several times did this time. */
  readonly tried?: unknown;
  /** `unknown`: it may have happened, or may still happen. */
  readonly outcome?: Outcome;
  readonly output?: unknown;
  /** The code of the error. */
  readonly code?: string;
  /** A lease was valid at this moment, or its release has returned. */
  readonly lease?: 'valid' | 'released';
  /** What a client must never see, in words. */
  readonly bad?: string;
}

export type Outcome = 'ok' | 'no' | 'unknown';

/** A call that is under way. */
export interface Recording {
  tried(what: unknown): void;
  /** At this time, which was read before it was asked, the lease was valid; or its release has returned. */
  lease(what: 'valid' | 'released', at: number): void;
  ended(outcome: Outcome, output: unknown, code?: string): void;
}

/** Writes down what a client sees, each line before what follows from it: a kill loses nothing. */
export class Recorder {
  readonly #file: number;
  #calls = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  begin(task: string, thing: string, input: unknown): Recording {
    const call = ++this.#calls;
    this.#write({ call, at: nowMs(), begins: { thing, input, task } });
    return {
      tried: (tried) => this.#write({ call, at: nowMs(), tried }),
      lease: (lease, at) => this.#write({ call, at, lease }),
      ended: (outcome, output, code) =>
        this.#write({ call, at: nowMs(), outcome, output, ...(code === undefined ? {} : { code }) }),
    };
  }

  bad(text: string): void {
    this.#write({ call: 0, at: nowMs(), bad: text });
  }

  #write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** A call as its client saw it. */
export interface Recorded {
  readonly client: string;
  readonly thing: string;
  readonly input: unknown;
  readonly start: number;
  /** Infinity where it is not known whether it happened. */
  end: number;
  outcome: Outcome;
  output: unknown;
  tried: unknown;
  /** Of a lease: when it was last known to be valid, and when its release had returned. */
  validAt: number;
  releasedAt: number;
}

/** What all clients wrote down, in the order of the starts, and what none of them should have seen. */
export interface History {
  readonly calls: readonly Recorded[];
  readonly bad: readonly string[];
}

/** Reads the logs of clients, by their names. Of what a kill cut off the end is not known. */
export function readHistory(logs: ReadonlyMap<string, string>): History {
  const calls: Recorded[] = [];
  const bad: string[] = [];
  for (const [client, path] of logs) {
    if (!existsSync(path)) continue; // killed before it began
    const open = new Map<number, Recorded>();
    for (const text of readFileSync(path, 'utf8').split('\n')) {
      if (text === '' || !text.endsWith('}')) continue;
      const line = JSON.parse(text) as Line;
      if (line.bad !== undefined) bad.push(`${client}: ${line.bad}`);
      else if (line.begins === undefined) take(open.get(line.call)!, line);
      else open.set(line.call, begun(client, line.at, line.begins));
    }
    calls.push(...open.values());
  }
  return { calls: calls.sort((a, b) => a.start - b.start), bad };
}

function begun(client: string, at: number, { thing, input, task }: NonNullable<Line['begins']>): Recorded {
  return {
    client: `${client}.${task}`,
    thing,
    input,
    start: at,
    end: Infinity,
    outcome: 'unknown',
    output: undefined,
    tried: undefined,
    validAt: at,
    releasedAt: Infinity,
  };
}

function take(call: Recorded, line: Line): void {
  if (line.tried !== undefined) call.tried = line.tried;
  if (line.lease === 'valid') call.validAt = line.at;
  if (line.lease === 'released') call.releasedAt = line.at;
  if (line.outcome === undefined) return;
  call.outcome = line.outcome;
  call.output = line.output;
  if (line.outcome !== 'unknown') call.end = line.at;
}
