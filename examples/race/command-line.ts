import { parseArgs } from 'node:util';

export interface CommandLine {
  readonly help: boolean;
  /** Where the state is to be, as `open` takes it; nothing: in a new directory, removed afterwards. */
  readonly place: string | undefined;
  readonly json: boolean;
  /** How long each line of the table takes. */
  readonly legMs: number;
}

export const help = `The race: processes, threads and tasks change the same state at the same time, without locks and with lockstep.

  npm start                     in a new directory, removed afterwards
  npm start -- ./dir            there; it stays
  npm start -- redis://…        on a server
  npm start -- --seconds 0.5    how long each line of the table takes (default 0.8)
  npm run -s start -- --json    the result as JSON, and nothing else

Exit code: 0 if every total of lockstep is exact, 1 if not, 64 if the command line can't be understood.
`;

/** The command line can't be understood; the message says which part. */
export class UsageError extends Error {}

/** Throws `UsageError`. */
export function read(argv: readonly string[]): CommandLine {
  const { values, positionals } = parse(argv);
  const [place, tooMuch] = positionals;
  if (tooMuch !== undefined) throw new UsageError(`${JSON.stringify(tooMuch)} is too much: one place is enough`);
  const legMs = Number(values.seconds) * 1_000;
  if (!(legMs > 0 && legMs < Number.POSITIVE_INFINITY)) {
    throw new UsageError(`--seconds is ${JSON.stringify(values.seconds)}: it must be a positive number`);
  }
  return { help: values.help, place, json: values.json, legMs };
}

function parse(argv: readonly string[]) {
  const options = {
    help: { type: 'boolean', short: 'h', default: false },
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '0.8' },
  } as const;
  try {
    return parseArgs({ args: [...argv], allowPositionals: true, options });
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
}
