import { cpuOf } from './cost.ts';
import type { Growth } from './growing.ts';
import { median } from './statistics.ts';
import { digits } from './table.ts';

const width = 560;
const height = 260;
const left = 52;
const right = 170;
const bottom = 34;
const top = 44;
const colours = ['#3d78bd', '#c2382b', '#2f8f5b', '#8a5fbf', '#b7791f', '#5b6770'];

/** A picture of what each act costs by size: CPU µs of both sides from zero, sizes by powers of ten. */
export function growthPlot({ title, sizes, costs }: Growth): string {
  const lines = [...costs].map(([name, bySize]) => ({
    name,
    values: bySize.map((rounds) => median(rounds.map(cpuOf))),
  }));
  const most = Math.max(...lines.flatMap(({ values }) => values), 1e-9);
  const [first, last] = [Math.log10(sizes[0]!), Math.log10(sizes.at(-1)!)];
  const x = (size: number): number => left + ((Math.log10(size) - first) / (last - first)) * (width - left - right);
  const y = (value: number): number => height - bottom - (value / most) * (height - bottom - top);
  const ticks = sizes.map(
    (size) => `<text x="${x(size).toFixed(1)}" y="${height - bottom + 16}" text-anchor="middle">${digits(size)}</text>`,
  );
  const drawn = lines.map(({ name, values }, i) => {
    const colour = colours[i % colours.length]!;
    const points = values.map((value, at) => `${x(sizes[at]!).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points}"/>
<text x="${width - right + 10}" y="${top + 6 + i * 18}" fill="${colour}">${name}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#1b1f24">
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="20" font-size="14" font-weight="600">${title}</text>
<text x="10" y="36" fill="#5b6770">CPU µs each, client and server</text>
<line x1="${left}" y1="${height - bottom}" x2="${width - right}" y2="${height - bottom}" stroke="#8b959f"/>
<text x="${left - 6}" y="${top + 4}" text-anchor="end">${digits(most)}</text>
<text x="${left - 6}" y="${height - bottom}" text-anchor="end">0</text>
${[...ticks, ...drawn].join('\n')}
</svg>
`;
}
