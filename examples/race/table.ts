import type { Tally } from './crew/messages.ts';
import type { Audit } from './scenario.ts';

/** A line of the table: one scenario done in one way. */
export interface Row {
  readonly title: string;
  readonly how: string;
  readonly safe: boolean;
  /** The part of its time that is over: 0 to 1. */
  done: number;
  seconds: number;
  tally: Tally;
  /** When it is over. */
  audit?: Audit;
}

/** Shows rows as they change: drawn anew in a terminal, else each when it is complete. */
export interface Table {
  update(): void;
  complete(row: Row): void;
}

const colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
export const red = (text: string): string => (colours ? `\x1b[31m${text}\x1b[39m` : text);
export const green = (text: string): string => (colours ? `\x1b[32m${text}\x1b[39m` : text);
const grey = (text: string): string => (colours ? `\x1b[90m${text}\x1b[39m` : text);

const heading = ['', '', '', 'operations/s', 'lost updates', 'money', 'worst wait'];
/** 79 columns. */
const widths = [8, 14, 8, 12, 12, 9, 10];
export const tableColumns = 80;

export function liveTable(rows: readonly Row[]): Table {
  let drawn = 0;
  const update = (): void => {
    const lines = [grey(line(heading)), ...rows.map(rowLine)];
    const up = drawn === 0 ? '' : `\x1b[${drawn}A`;
    process.stdout.write(up + lines.map((text) => `\x1b[2K${text}\n`).join(''));
    drawn = lines.length;
  };
  return { update, complete: update };
}

export function plainTable(): Table {
  console.log(line(heading));
  return { update() {}, complete: (row) => console.log(rowLine(row)) };
}

/** For machines that want one document at the end. */
export const noTable: Table = { update() {}, complete() {} };

function rowLine(row: Row): string {
  const { operations, worstMs } = row.tally;
  const begun = row.seconds > 0;
  return line([
    row.title,
    row.how,
    bar(row.done),
    begun ? thousands(operations / row.seconds) : '',
    finding(row, row.audit?.lostUpdates),
    finding(row, row.audit?.money, true),
    begun ? `${worstMs.toFixed(0)} ms` : '',
  ]);
}

/** Words to the left, numbers to the right; colours have no width. */
function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => {
      // oxlint-disable-next-line no-control-regex
      const space = ' '.repeat(Math.max(0, widths[i]! - cell.replace(/\x1b\[\d+m/g, '').length));
      return i < 3 ? cell + space : space + cell;
    })
    .join(' ')
    .trimEnd();
}

function bar(done: number): string {
  const full = Math.round(done * 8);
  return '█'.repeat(full) + grey('░'.repeat(8 - full));
}

function finding(row: Row, wrong: number | undefined, signed = false): string {
  if (row.audit === undefined) return '';
  if (wrong === undefined) return grey('–');
  const text = (signed && wrong > 0 ? '+' : '') + thousands(wrong);
  return wrong === 0 ? green(text) : red(text);
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}
