/**
 * Whether transactions could have run one after the other, by cycles of what they must have seen of each other: Adya,
 * "Weak consistency" (1999), from lists that are only appended to, as Elle does (Kingsbury and Alvaro, 2020). Each
 * appended element is unique, so whoever reads a list tells in which order its writers came.
 */

/** A step of a transaction: it appended an element to a list, or read the list as it was to it. */
export type Step =
  | { readonly append: string; readonly element: number }
  | { readonly read: string; readonly list: readonly number[] };

export interface Transaction {
  readonly id: string;
  readonly steps: readonly Step[];
  /** `unknown`: its commit was not acknowledged. It counts as committed once somebody saw what it wrote. */
  readonly outcome: 'committed' | 'aborted' | 'unknown';
}

/**
 * - `G0`: writes that overtake each other: a cycle of writes.
 * - `G1a`: a read of what was aborted. `G1b`: of what its writer overwrote itself. `G1c`: a cycle of writes and reads.
 * - `G-single`: a cycle with one read of what somebody then overwrote: a lost update, a torn snapshot. `G2`: with more: write skew.
 * - `order`: two reads that no order of appends explains. `internal`: a transaction that did not see its own writes.
 */
export type AnomalyKind = 'G0' | 'G1a' | 'G1b' | 'G1c' | 'G-single' | 'G2' | 'order' | 'internal';

export interface Anomaly {
  readonly kind: AnomalyKind;
  /** What happened, a step a line. */
  readonly text: string;
}

/** Every kind of anomaly that there is, with one example; none if the transactions are serializable. */
export function checkSerializable(history: readonly Transaction[]): Anomaly[] {
  const reading = readOf(history);
  const found = new Map<AnomalyKind, Anomaly>();
  for (const anomaly of [...reading.anomalies, ...cycles(edgesOf(reading))]) {
    if (!found.has(anomaly.kind)) found.set(anomaly.kind, anomaly);
  }
  return [...found.values()];
}

/** What the reads of a history tell. */
interface Reading {
  readonly transactions: readonly Transaction[];
  /** By list: its elements in the order in which they were appended, as far as somebody read them. */
  readonly orders: ReadonlyMap<string, readonly number[]>;
  /** By element: who appended it. */
  readonly writers: ReadonlyMap<string, Transaction>;
  readonly anomalies: readonly Anomaly[];
}

function readOf(history: readonly Transaction[]): Reading {
  const orders = new Map<string, readonly number[]>();
  const writers = new Map<string, Transaction>();
  const anomalies: Anomaly[] = [];
  for (const transaction of history) {
    for (const step of transaction.steps) {
      if ('read' in step) continue;
      const place = placeOf(step.append, step.element);
      if (writers.has(place)) throw new Error(`${place} is appended twice: elements must be unique`);
      writers.set(place, transaction);
    }
  }
  const seen = new Set<Transaction>();
  for (const transaction of history) {
    if (transaction.outcome !== 'committed') continue; // what others read may not have been their last word
    for (const { read, list } of outsideReads(transaction, anomalies)) {
      checkRead(transaction, read, list, writers, anomalies);
      for (const element of list) seen.add(writers.get(placeOf(read, element)) ?? transaction);
      const [shorter, longer] = [orders.get(read) ?? [], list].toSorted((a, b) => a.length - b.length);
      orders.set(read, longer!);
      if (shorter!.some((element, i) => longer![i] !== element)) {
        const text = `list ${read} was read as ${show(shorter!)} and as ${show(longer!)}`;
        anomalies.push({ kind: 'order', text });
      }
    }
  }
  const transactions = history.filter(
    (each) => each.outcome === 'committed' || (each.outcome === 'unknown' && seen.has(each)),
  );
  return { transactions, orders, writers, anomalies };
}

/** The reads of a transaction without its own appends, which must be at the end of what it read. */
function outsideReads({ id, steps }: Transaction, anomalies: Anomaly[]): { read: string; list: readonly number[] }[] {
  const own = new Map<string, number[]>();
  const before = new Map<string, readonly number[]>();
  const reads: { read: string; list: readonly number[] }[] = [];
  for (const step of steps) {
    if ('append' in step) {
      own.set(step.append, [...(own.get(step.append) ?? []), step.element]);
      continue;
    }
    const mine = own.get(step.read) ?? [];
    const list = step.list.slice(0, step.list.length - mine.length);
    const first = before.get(step.read) ?? list;
    before.set(step.read, first);
    const isOwn = mine.every((element, i) => step.list[list.length + i] === element);
    if (!isOwn || show(first) !== show(list)) {
      const text = `${id} read list ${step.read} as ${show(step.list)} after ${show([...first, ...mine])}`;
      anomalies.push({ kind: 'internal', text });
    }
    reads.push({ read: step.read, list: isOwn ? list : step.list });
  }
  return reads;
}

/** G1a and G1b: each element read was committed, and was the last of its writer where others follow. */
function checkRead(
  reader: Transaction,
  key: string,
  list: readonly number[],
  writers: ReadonlyMap<string, Transaction>,
  anomalies: Anomaly[],
): void {
  for (const element of list) {
    const writer = writers.get(placeOf(key, element));
    const read = `${reader.id} read ${element} in list ${key}`;
    if (writer === undefined) anomalies.push({ kind: 'G1a', text: `${read}, which nobody appended` });
    else if (writer.outcome === 'aborted') {
      anomalies.push({ kind: 'G1a', text: `${read}, which ${writer.id} appended and aborted` });
    }
  }
  const last = list.at(-1);
  const writer = last === undefined ? undefined : writers.get(placeOf(key, last));
  if (writer === undefined || writer === reader) return;
  const all = writer.steps.flatMap((step) => ('append' in step && step.append === key ? [step.element] : []));
  if (all.at(-1) !== last) {
    anomalies.push({ kind: 'G1b', text: `${reader.id} read list ${key} up to ${last}, in the middle of ${writer.id}` });
  }
}

/** ww: it overwrote what the other wrote. wr: it read what the other wrote. rw: it overwrote what the other read. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly kind: 'ww' | 'wr' | 'rw';
  readonly text: string;
}

function edgesOf({ transactions, orders, writers }: Reading): Edge[] {
  const edges: Edge[] = [];
  const add = (kind: Edge['kind'], from: string, to: string | undefined, text: string): void => {
    if (to !== undefined && from !== to) edges.push({ kind, from, to, text });
  };
  for (const [key, order] of orders) {
    for (const [i, element] of order.entries()) {
      const before = i === 0 ? undefined : writers.get(placeOf(key, order[i - 1]!));
      const writer = writers.get(placeOf(key, element));
      if (before !== undefined) add('ww', before.id, writer?.id, `appended ${element} to list ${key} after that of`);
    }
  }
  for (const { id, steps } of transactions) {
    const own = new Set(steps.flatMap((step) => ('append' in step ? [placeOf(step.append, step.element)] : [])));
    for (const step of steps) {
      if (!('read' in step)) continue;
      const list = step.list.filter((element) => !own.has(placeOf(step.read, element)));
      const last = list.at(-1);
      const writer = last === undefined ? undefined : writers.get(placeOf(step.read, last));
      if (writer !== undefined) add('wr', writer.id, id, `read ${last} in list ${step.read}, which was of`);
      const next = orders.get(step.read)?.[list.length];
      const overwriter = next === undefined ? undefined : writers.get(placeOf(step.read, next));
      add('rw', id, overwriter?.id, `appended ${next} to list ${step.read}, which had not been there for`);
    }
  }
  return edges;
}

function cycles(edges: readonly Edge[]): Anomaly[] {
  const found: Anomaly[] = [];
  const look = (kind: AnomalyKind, through: Edge['kind'], others: readonly Edge['kind'][]): void => {
    const paths = pathsOver(edges.filter((edge) => others.includes(edge.kind)));
    const all = edges.filter((edge) => edge.kind === through).map((edge) => closed(edge, paths));
    const whole = all.filter((cycle) => cycle !== undefined && (kind !== 'G2' || countOf(cycle) > 1));
    const shortest = whole.reduce((a, b) => (a === undefined || b!.length < a.length ? b : a), undefined);
    if (shortest !== undefined) {
      found.push({ kind, text: shortest.map(({ from, to, text }) => `${to} ${text} ${from}`).join('\n') });
    }
  };
  look('G0', 'ww', ['ww']);
  look('G1c', 'wr', ['ww', 'wr']);
  look('G-single', 'rw', ['ww', 'wr']);
  look('G2', 'rw', ['ww', 'wr', 'rw']);
  return found;
}

function countOf(cycle: readonly Edge[]): number {
  return cycle.filter((edge) => edge.kind === 'rw').length;
}

type Paths = ReadonlyMap<string, readonly Edge[]>;

function pathsOver(edges: readonly Edge[]): Paths {
  const out = new Map<string, Edge[]>();
  for (const edge of edges) {
    const all = out.get(edge.from);
    if (all === undefined) out.set(edge.from, [edge]);
    else all.push(edge);
  }
  return out;
}

/** The shortest cycle that begins with `edge`; breadth first. */
function closed(edge: Edge, paths: Paths): Edge[] | undefined {
  const cameBy = new Map<string, Edge>();
  const next = [edge.to];
  for (const at of next) {
    if (at === edge.from) break;
    for (const way of paths.get(at) ?? []) {
      if (way.to === edge.to || cameBy.has(way.to)) continue;
      cameBy.set(way.to, way);
      next.push(way.to);
    }
  }
  const cycle: Edge[] = [];
  for (let at = edge.from; at !== edge.to;) {
    const way = cameBy.get(at);
    if (way === undefined) return undefined;
    cycle.unshift(way);
    at = way.from;
  }
  return [edge, ...cycle];
}

function placeOf(key: string, element: number): string {
  return `${element} in list ${key}`;
}

function show(list: readonly number[]): string {
  return `[${list.join(' ')}]`;
}
