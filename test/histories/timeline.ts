import type { Call, Model } from './call.ts';
import type { Smallest } from './smallest.ts';

/** A page that shows calls as bars, a row a client, with the longest order that was found and what does not fit in it. */
export function timelineOf<State, Input, Output>(
  title: string,
  model: Model<State, Input, Output>,
  { calls, order, fromAnyState }: Smallest<Input, Output>,
): string {
  const clients = [...new Set(calls.map((call) => call.client))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  const times = [...new Set(calls.flatMap(({ start, end }) => (end === Infinity ? [start] : [start, end])))];
  // Only the order of moments matters: each has the same width.
  const columns = new Map(times.sort((a, b) => a - b).map((time, i) => [time, i]));
  const x = (time: number): number => left + (columns.get(time) ?? times.length) * columnWidth;
  const width = x(Infinity) + columnWidth;
  const height = top + clients.length * rowHeight + 20;
  const rows = clients.map((client, row) => {
    const y = top + row * rowHeight;
    return `<text x="8" y="${y + 20}" class="client">${escape(client)}</text>
<line x1="${left}" y1="${y + rowHeight - 4}" x2="${width}" y2="${y + rowHeight - 4}" class="row"/>`;
  });
  const bars = calls.map((call) => {
    const y = top + clients.indexOf(call.client) * rowHeight;
    return barOf(call, model.text(call), order.indexOf(call) + 1, { x: x(call.start), y, end: x(call.end) });
  });
  const from = fromAnyState ? 'whatever the state was before it' : 'from the beginning';
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escape(title)}</title>
<style>${style}</style>
<h1>${escape(title)}</h1>
<p>These calls of a ${escape(model.name)} can't have happened, ${from}. The numbers are the longest order that was found;
what is red does not fit in it. Dashed bars have no end: they may have taken effect at any time from their start, or never.</p>
<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">
${rows.join('\n')}
${bars.join('\n')}
</svg>
</html>
`;
}

const left = 70;
const top = 10;
const rowHeight = 40;
const columnWidth = 76;

const style = `body { font: 14px/1.4 system-ui, sans-serif; margin: 24px; color: #1b1f24; background: #fff }
h1 { font-size: 18px } p { max-width: 46em }
.client { font-weight: 600 } .row { stroke: #e4e8ec }
rect { fill: #d9e8fb; stroke: #3d78bd } .open rect { stroke-dasharray: 4 3; fill: #f3f5f7; stroke: #8b959f }
.misfit rect { fill: #fbdcd9; stroke: #c2382b; stroke-width: 2 } text { font-size: 12px; fill: #1b1f24 }
.number { font-weight: 700; fill: #3d78bd }`;

function barOf<Input, Output>(
  call: Call<Input, Output>,
  text: string,
  number: number,
  { x, y, end }: { x: number; y: number; end: number },
): string {
  const isOpen = call.end === Infinity;
  const kind = isOpen ? 'open' : number === 0 ? 'misfit' : 'fits';
  const place = number === 0 ? '' : `<tspan class="number">${number} </tspan>`;
  const when = `${call.start} to ${isOpen ? '?' : String(call.end)}`;
  return `<g class="${kind}"><title>${escape(`${call.client}: ${text} (${when})`)}</title>
<rect x="${x}" y="${y}" width="${Math.max(end - x - 2, 8)}" height="30" rx="4"/>
<text x="${x + 5}" y="${y + 20}">${place}${escape(text)}</text></g>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
