import { limits } from '../../base/limits.ts';
import { checkName, type SpaceKeys } from '../../base/names.ts';
import type { Place, Read } from './steps.ts';

/** Where a map is. */
export interface MapPlace extends Place {
  /** The read of an entry. Throws `INVALID_ARGUMENT` for a key that none can have. */
  entry(field: string): Read;
}

/** Where the things of a space are that transactions read and write, by their names. */
export interface Places {
  value(name: string): Place;
  map(name: string): MapPlace;
  set(name: string): Place;
  sorted(name: string): Place;
  list(name: string): Place;
  counter(name: string): Place;
}

/** Their keys in the order in which operations/transaction.ts takes them. A session needs the same ones again and again. */
export function placesOf(keys: SpaceKeys): Places {
  const entries = new EntryReads();
  return {
    value: remembered((name) => {
      const { value, watchers } = keys.value(name);
      return { what: `value ${JSON.stringify(name)}`, keys: [value, watchers], kinds: ['string', '+zset'] };
    }),
    map: remembered((name) => {
      const { map, expiry, watchers } = keys.map(name);
      const kinds = ['hash', '+zset', '+zset'];
      return entries.in({ what: `map ${JSON.stringify(name)}`, keys: [map, expiry, watchers], kinds });
    }),
    set: remembered((name) => {
      const { set, watchers } = keys.set(name);
      return { what: `set ${JSON.stringify(name)}`, keys: [set, watchers], kinds: ['set', '+zset'] };
    }),
    sorted: remembered((name) => {
      const { sorted, watchers } = keys.sorted(name);
      return { what: `sorted set ${JSON.stringify(name)}`, keys: [sorted, watchers], kinds: ['zset', '+zset'] };
    }),
    list: remembered((name) => {
      const { list, watchers, waiting, taken, grants, returned } = keys.list(name);
      const all = [list, watchers, waiting, taken, grants, returned];
      const kinds = ['list', '+zset', '+zset', '+hash', '+zset', '+zset'];
      return { what: `list ${JSON.stringify(name)}`, keys: all, kinds };
    }),
    counter: remembered((name) => {
      const { counter, watchers } = keys.counter(name);
      return { what: `counter ${JSON.stringify(name)}`, keys: [counter, watchers], kinds: ['string', '+zset'] };
    }),
  };
}

/** The reads of the entries of all maps of a session: texts of them need not be made, nor checked, again and again. */
class EntryReads {
  readonly #ofAll: Map<string, Read>[] = [];
  #count = 0;

  in(place: Place): MapPlace {
    if (this.#ofAll.length >= limits.transactionPlacesMax) {
      this.#forget();
      this.#ofAll.length = 0; // their places are forgotten too
    }
    const known = new Map<string, Read>();
    this.#ofAll.push(known);
    const map: MapPlace = { ...place, entry: (field) => known.get(field) ?? this.#remember(known, map, field) };
    return map;
  }

  #remember(known: Map<string, Read>, place: Place, field: string): Read {
    checkName('key', field, limits.entryKeyBytesMax);
    if (this.#count >= limits.transactionEntriesMax) this.#forget();
    this.#count += 1;
    const own = Buffer.from(field).toString(); // the text that it was cut out of is not to stay with it
    // Neither keys nor fields hold control characters. Texts that are joined so are in one piece: two pieces are slow to compare.
    const name = [place.keys[0]!, own].join('\n');
    const id = ['map.get', name].join(' ');
    const read: Read = { id, name, place, verb: 'map.get', parameters: [own], line: undefined, step: 0, cell: 0 };
    known.set(own, read);
    return read;
  }

  #forget(): void {
    for (const known of this.#ofAll) known.clear();
    this.#count = 0;
  }
}

function remembered<P extends Place>(make: (name: string) => P): (name: string) => P {
  const places = new Map<string, P>();
  return (name) => {
    let place = places.get(name);
    if (place === undefined) {
      if (places.size >= limits.transactionPlacesMax) places.clear();
      places.set(name, (place = make(name)));
    }
    return place;
  };
}
