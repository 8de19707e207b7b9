import { parseArgs, type ParseArgsConfig } from 'node:util';

/** The command line can't be understood; the message says which part. */
export class UsageError extends Error {}

/** Where the state is: the options that all commands have. */
export const placeOptions = {
  at: { type: 'string' },
  space: { type: 'string' },
} as const;

/**
 * What a server should be told otherwise, in one line: Node's own form of a warning is for programmers. Silenced as Node's:
 * cron makes a mail of each.
 */
export function warn(warning: Error): void {
  if (process.env['NODE_NO_WARNINGS'] === '1') return;
  process.stderr.write(`lockstep: warning: ${warning.message}\n`);
}

/** Those options as `open` takes them. */
export function spaceOption(space: string | undefined): { space?: string } {
  return space === undefined ? {} : { space };
}

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; strict: true; allowPositionals: true }>
>;

/** The options and the words of a command line. Throws `UsageError` for an option that is not among `options`. */
export function parse<T extends Options>(args: readonly string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    const [sentence = ''] = (error as Error).message.split('. ');
    throw new UsageError(sentence);
  }
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * The milliseconds of a length of time with its unit, such as `500ms`, `5s`, `1.5h`; 0 needs none. A bare number is
 * refused: `sleep` reads 5 as seconds, `setTimeout` as milliseconds.
 */
export function milliseconds(option: string, text: string): number {
  if (text === '0') return 0;
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (amount === '') throw new UsageError(`--${option} is ${JSON.stringify(text)}: give a unit, such as 500ms, 5s, 2m`);
  return Math.ceil(Number(amount) * unitMs[unit]!);
}
