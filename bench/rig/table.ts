import type { Spread } from './statistics.ts';

/** One line of a table: what, then a cell for each column. */
export type Line = readonly string[];

/** A table as GitHub reads it, in columns that line up. */
export function table(head: Line, lines: readonly Line[]): string {
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => (line[i] ?? '').length)));
  const row = (line: Line): string => `| ${widths.map((width, i) => pad(line[i] ?? '', width, i)).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [row(head), rule, ...lines.map(row)].join('\n');
}

function pad(text: string, width: number, column: number): string {
  return column === 0 ? text.padEnd(width) : text.padStart(width);
}

/** A median with its range: `12.3 (11.8–12.9)`. */
export function cell(values: Spread, unit = ''): string {
  if (Number.isNaN(values.median)) return '–';
  const text = digits(values.median) + unit;
  return values.low === values.high ? text : `${text} (${digits(values.low)}–${digits(values.high)})`;
}

/** Three digits that count, thousands as k. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 999_500) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 9_995) return `${(value / 1_000).toPrecision(3)} k`;
  if (value >= 99.95) return value.toFixed(0);
  return value >= 0.01 || value === 0 ? value.toPrecision(3).replace(/\.?0+$/, '') : value.toPrecision(1);
}
