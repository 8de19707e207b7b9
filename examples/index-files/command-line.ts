import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Source, sources } from './work.ts';

export interface CommandLine {
  readonly help: boolean;
  /** Its text files are read. */
  readonly directory: string;
  /** Where the state is to be, as `open` takes it; nothing: in a new directory, removed afterwards. */
  readonly at: string | undefined;
  readonly work: Source;
  readonly processes: number;
  /** In each process. */
  readonly threads: number;
  /** Processes to kill. */
  readonly kills: number;
  /** Files to read at most. */
  readonly limit: number;
  readonly json: boolean;
}

const usual = { directory: 'node_modules', work: 'queue', threads: 2, kills: 5 } as const;
const usualProcesses = Math.max(2, availableParallelism());

export const help: string = `Counts the words of all text files below a directory, by processes of which one is killed -9 every second.

  node examples/index-files/main.ts [directory]    default: ${usual.directory}
    --at WHERE          the shared state: a directory, or redis://… (default: a new directory, removed afterwards)
    --work queue|list   where the workers get their work from (default ${usual.work})
    --processes N       default here: ${usualProcesses}
    --threads N         in each process (default ${usual.threads})
    --kills N           processes to kill at most (default ${usual.kills})
    --limit FILES       reads so many files at most
    --json              the result as JSON, and nothing else

Exit code: 0 if the result equals that of a single thread, 1 if not, 64 if the command line can't be understood.
`;

/** The command line can't be understood; the message says which part. */
export class UsageError extends Error {}

/** Throws `UsageError`. */
export function read(argv: readonly string[]): CommandLine {
  const { values, positionals } = parse(argv);
  const [directory = usual.directory, tooMuch] = positionals;
  if (tooMuch !== undefined) throw new UsageError(`${JSON.stringify(tooMuch)} is too much: one directory is enough`);
  const { help: isHelp, at, json, work } = values;
  if (!isSource(work)) throw new UsageError(`--work is ${JSON.stringify(work)}: it must be ${sources.join(' or ')}`);
  return {
    help: isHelp,
    directory,
    at,
    work,
    processes: count('processes', values.processes, 1, 64),
    threads: count('threads', values.threads, 1, 64),
    kills: count('kills', values.kills, 0, 1_000),
    limit: values.limit === undefined ? Infinity : count('limit', values.limit, 1, Number.MAX_SAFE_INTEGER),
    json,
  };
}

function parse(argv: readonly string[]) {
  const options = {
    help: { type: 'boolean', short: 'h', default: false },
    at: { type: 'string' },
    work: { type: 'string', default: usual.work },
    processes: { type: 'string', default: String(usualProcesses) },
    threads: { type: 'string', default: String(usual.threads) },
    kills: { type: 'string', default: String(usual.kills) },
    limit: { type: 'string' },
    json: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ args: [...argv], allowPositionals: true, options });
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
}

function isSource(text: string): text is Source {
  return (sources as readonly string[]).includes(text);
}

function count(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} is ${JSON.stringify(text)}: it must be an integer from ${min} to ${max}`);
}
