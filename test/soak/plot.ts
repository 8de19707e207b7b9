import type { Point } from './flat.ts';

/** One measured thing, as it is drawn. */
export interface Curve {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly Point[];
  readonly isFlat: boolean;
}

const width = 420;
const height = 130;
const columns = 2;
const margin = 46;

/** A picture of curves over one time, each in a field of its own that begins at zero. */
export function plotOf(title: string, curves: readonly Curve[]): string {
  const rows = Math.ceil(curves.length / columns);
  const [fullWidth, fullHeight] = [columns * width, rows * height + 40];
  const fields = curves.map((curve, i) => {
    const [x, y] = [(i % columns) * width, 40 + Math.floor(i / columns) * height];
    return `<g transform="translate(${x} ${y})">${fieldOf(curve)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${fullWidth}" height="${fullHeight}" viewBox="0 0 ${fullWidth} ${fullHeight}" font-family="system-ui, sans-serif" font-size="12" fill="#1b1f24">
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="24" font-size="16" font-weight="600">${title}</text>
${fields.join('\n')}
</svg>
`;
}

function fieldOf({ name, unit, points, isFlat }: Curve): string {
  const most = Math.max(...points.map(({ value }) => value), 1e-9);
  const last = points.at(-1)?.at ?? 1;
  const [inner, bottom] = [width - margin - 20, height - 24];
  const place = ({ at, value }: Point): string =>
    `${(margin + (at / last) * inner).toFixed(1)},${(bottom - (value / most) * (bottom - 24)).toFixed(1)}`;
  const colour = isFlat ? '#3d78bd' : '#c2382b';
  return `<text x="${margin}" y="14" font-weight="600">${name}${unit === '' ? '' : ` (${unit})`}</text>
<line x1="${margin}" y1="${bottom}" x2="${width - 20}" y2="${bottom}" stroke="#8b959f"/>
<text x="${margin - 6}" y="28" text-anchor="end">${numberOf(most)}</text>
<text x="${margin - 6}" y="${bottom}" text-anchor="end">0</text>
<text x="${width - 20}" y="${bottom + 14}" text-anchor="end">${Math.round(last / 1_000)} s</text>
<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.map(place).join(' ')}"/>`;
}

/** Three figures. */
export function numberOf(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}
