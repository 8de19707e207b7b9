import { valueOptions } from '../base/codec.ts';
import { checkName } from '../base/names.ts';
import { checkOptions } from '../base/options.ts';
import { counterOptions } from './counter.ts';
import { lastingOptions } from './value.ts';

type Method = 'counter' | 'value' | 'map' | 'set' | 'sortedSet' | 'list';

/** What messages call the name and the options, and the options that there are. */
const things: Readonly<Record<Method, readonly [string, string, ReadonlySet<string>]>> = {
  counter: ['counter name', 'the options of counter', counterOptions],
  value: ['value name', 'the options of value', lastingOptions],
  map: ['map name', 'the options of map', lastingOptions],
  set: ['set name', 'the options of set', valueOptions],
  sortedSet: ['sorted set name', 'the options of sortedSet', valueOptions],
  list: ['list name', 'the options of list', valueOptions],
};

/** Checks what a handle is asked for by, of the store or of a transaction. Throws `INVALID_ARGUMENT`. */
export function checkThing(method: Method, name: unknown, options: object): asserts name is string {
  const [called, optionsCalled, known] = things[method];
  checkName(called, name);
  checkOptions(optionsCalled, options, known);
}
