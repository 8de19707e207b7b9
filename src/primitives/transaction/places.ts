import { limits } from '../../base/limits.ts';
import type { SpaceKeys } from '../../base/names.ts';
import type { Place } from './steps.ts';

/** Where the things of a space are that transactions read and write, by their names. */
export interface Places {
  value(name: string): Place;
  map(name: string): Place;
  set(name: string): Place;
  sorted(name: string): Place;
  list(name: string): Place;
  counter(name: string): Place;
}

/** Their keys in the order in which operations/transaction.ts takes them. A session needs the same ones again and again. */
export function placesOf(keys: SpaceKeys): Places {
  return {
    value: remembered((name) => {
      const { value, watchers } = keys.value(name);
      return { what: `value ${JSON.stringify(name)}`, keys: [value, watchers], kinds: ['string', '+zset'] };
    }),
    map: remembered((name) => {
      const { map, expiry, watchers } = keys.map(name);
      const kinds = ['hash', '+zset', '+zset'];
      return { what: `map ${JSON.stringify(name)}`, keys: [map, expiry, watchers], kinds };
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

function remembered(make: (name: string) => Place): (name: string) => Place {
  const places = new Map<string, Place>();
  return (name) => {
    let place = places.get(name);
    if (place === undefined) {
      if (places.size >= limits.transactionPlacesMax) places.clear();
      places.set(name, (place = make(name)));
    }
    return place;
  };
}
