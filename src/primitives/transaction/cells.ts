import type { Place, Read, Request, Write } from './steps.ts';

/** A text of the store, and its number in a step of operations/cells.ts. */
interface Cell {
  readonly field: string;
  /** How many were entered before it. */
  readonly place: number;
  at: number;
  /** What the request that is being written down does with it. */
  write: Write | undefined;
}

interface Thing {
  readonly place: Place;
  readonly cells: Cell[];
}

/** Keys and arguments of a step over cells, and where the texts of its reply belong. */
export interface CellStep {
  readonly keys: string[];
  readonly args: string[];
  /** What a read gives, by the texts of all cells, or the last of them, with which a reply ends. */
  textsOf(read: Read, reply: readonly (string | number)[]): readonly string[];
}

/** Whether operations/cells.ts has all that a request needs. */
export function isOfCells({ ticket, reads, writes }: Request): boolean {
  if (ticket !== '') return false;
  for (const { read, known } of reads) if (!isCell(read) || known.texts.length > 1) return false;
  for (const write of writes) {
    if (!writing.has(write.verb)) return false;
    // What nobody read may be beyond its bounds, or no integer.
    if (write.verb === 'counter.add' && !reads.some(({ read }) => read.name === write.name)) return false;
  }
  return true;
}

export function isCell({ verb }: Read): boolean {
  return reading.has(verb);
}

const reading: ReadonlySet<string> = new Set(['map.get', 'value.get', 'counter.get', 'guard']);
const writing: ReadonlySet<string> = new Set([
  'map.set',
  'map.delete',
  'value.set',
  'value.delete',
  'counter.set',
  'counter.add',
]);

/** `first`: the keys and arguments that a step with requests begins with. */
export function cellStep(
  first: { readonly keys: readonly string[]; readonly args: readonly string[] },
  group: readonly Request[],
  looks: readonly { readonly read: Read }[],
): CellStep {
  const cells = new Cells();
  const named: Cell[] = [];
  for (const request of group) nameAll(request, cells, named);
  for (const { read } of looks) cells.ofRead(read);
  const keys = [...first.keys];
  const args = [...first.args];
  cells.number(keys, args);
  let own = 0;
  for (const request of group) {
    pushRequest(request, named, own, cells, args);
    own += request.reads.length + request.writes.length;
  }
  if (group.length > 0 && looks.length > 0) args.push('?', String(cells.firstOf(looks)));
  return {
    keys,
    args,
    textsOf(read, reply) {
      const text = reply[reply.length - cells.count + cells.ofRead(read).at]; // what is left out is the first of them
      if (read.verb === 'guard') return text === read.parameters[0] ? none : over;
      return typeof text === 'string' ? [text] : none;
    },
  };
}

const none: readonly string[] = [];
const over: readonly string[] = ['over'];

/** The cells of a request's reads, and behind them those of its writes, most of which it has read. */
function nameAll({ reads, writes }: Request, cells: Cells, named: Cell[]): void {
  const from = named.length;
  for (const { read } of reads) named.push(cells.ofRead(read));
  for (const write of writes) {
    const place = reads.length > walkMax ? -1 : reads.findIndex(({ read }) => read.name === write.name);
    named.push(place === -1 ? cells.enter(write) : named[from + place]!);
  }
}

/** Up to so many reads, to walk along them is as quick as to look one up. */
const walkMax = 8;

let lastStep = 0;

class Cells {
  readonly #step = (lastStep += 1);
  readonly #things: Map<string, Thing> = new Map();
  readonly #cells: Map<string, Cell> = new Map();
  readonly #entered: Cell[] = [];
  /** The first one that was not named yet. */
  #unnamed = 0;

  /** Of a read: entered if it was not. The same one is mostly asked for again. */
  ofRead(read: Read): Cell {
    if (read.step === this.#step) return this.#entered[read.cell!]!;
    const entered = this.enter(read);
    read.step = this.#step;
    read.cell = entered.place;
    return entered;
  }

  get count(): number {
    return this.#cells.size;
  }

  /** The first one that is looked at. */
  firstOf(looks: readonly { readonly read: Read }[]): number {
    let first = this.count;
    for (const { read } of looks) first = Math.min(first, this.ofRead(read).at);
    return first;
  }

  /** Writes down a token, which is about a cell: as requests are about them, in their order. */
  push(args: string[], { at }: Cell, verb: string): void {
    if (at === this.#unnamed) {
      this.#unnamed += 1;
      args.push(verb);
    } else args.push('@', String(at), verb);
  }

  /** Of an entry, its field is the first parameter; names differ where cells do. */
  enter({ name, place, verb, parameters }: Read | Write): Cell {
    const known = this.#cells.get(name);
    if (known !== undefined) return known;
    const field = verb.startsWith('map.') ? parameters[0]! : '';
    const cell: Cell = { field, place: this.#entered.length, at: 0, write: undefined };
    this.#entered.push(cell);
    this.#cells.set(name, cell);
    const key = place.keys[0]!;
    const thing = this.#things.get(key);
    if (thing === undefined) this.#things.set(key, { place, cells: [cell] });
    else thing.cells.push(cell);
    return cell;
  }

  number(keys: string[], args: string[]): void {
    let at = 0;
    args.push(String(this.#things.size));
    for (const { place, cells } of this.#things.values()) {
      for (const key of place.keys) keys.push(key);
      for (const cell of cells) cell.at = at++;
      if (place.kinds[0] !== 'hash') {
        args.push(place.keys.length > 1 ? 'value' : 'string');
        continue;
      }
      args.push('hash', String(cells.length));
      for (const { field } of cells) args.push(field);
    }
  }
}

/** `named`: from `from` on the cells of its reads, and of its writes. */
function pushRequest(
  { reads, writes }: Request,
  named: readonly Cell[],
  from: number,
  cells: Cells,
  args: string[],
): void {
  const fromWrites = from + reads.length;
  for (let i = 0; i < writes.length; i++) named[fromWrites + i]!.write = writes[i];
  for (let i = 0; i < reads.length; i++) {
    const { read, known } = reads[i]!;
    const cell = named[from + i]!;
    const text = read.verb === 'guard' ? read.parameters[0] : known.texts[0];
    const becomes = cell.write === undefined ? undefined : textOf(cell.write);
    cells.push(args, cell, tokenOf(text, becomes));
    if (text !== undefined) args.push(text);
    if (becomes === undefined) continue;
    args.push(becomes);
    cell.write = undefined;
  }
  for (let i = 0; i < writes.length; i++) {
    const write = writes[i]!;
    const cell = named[fromWrites + i]!;
    if (cell.write === undefined) continue;
    const text = write.verb === 'counter.add' ? write.parameters[0] : textOf(write);
    cells.push(args, cell, write.verb === 'counter.add' ? '#' : text === undefined ? '-' : '!');
    if (text !== undefined) args.push(text);
    cell.write = undefined;
  }
  args.push(';');
}

/** `text`: what a cell must be; `becomes`: what is written there. */
function tokenOf(text: string | undefined, becomes: string | undefined): string {
  if (text === undefined) return becomes === undefined ? '0' : '+';
  return becomes === undefined ? '=' : '~';
}

/** What is written as a whole; a counter that is added to keeps what else it has. */
function textOf({ verb, parameters }: Write): string | undefined {
  if (verb === 'map.set') return parameters[1];
  return verb === 'value.set' || verb === 'counter.set' ? parameters[0] : undefined;
}
