import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { type StandardSchemaV1, type ValueOptions, valueCodec } from '../../src/base/codec.ts';
import { failure } from '../failure.ts';

const where = 'map "stock", key "apple"';
const json = valueCodec<unknown>({});
const refusal = (text: string): unknown => failure('INVALID_VALUE', text);

describe('values as JSON', () => {
  it('come back as they were', () => {
    const values = [
      null,
      true,
      0,
      -1.5,
      1e300,
      '',
      'ü\0\ud800',
      [],
      {},
      [[[]]],
      { 'a b': [1, { c: null }] },
      Object.create(null),
    ];
    for (const value of values) expect(json.decode(where, json.encode(where, value) as string)).toEqual(value);
    const foreign: unknown = runInNewContext('({ a: [1] })');
    expect(json.encode(where, foreign)).toBe('{"a":[1]}');
  });

  it('are refused where JSON would drop or change a part, which is named', () => {
    const circle: unknown[] = [];
    circle.push({ circle });
    class Point {
      x = 1;
    }
    const cases: [unknown, string][] = [
      [undefined, 'it is undefined'],
      [Number.NaN, 'it is NaN'],
      [{ a: { 'b c': [0, Number.POSITIVE_INFINITY] } }, '.a["b c"][1] is Infinity'],
      [{ a: undefined }, '.a is undefined'],
      [[1, , 2], '[1] is undefined'], // oxlint-disable-line no-sparse-arrays
      [{ f: () => 1 }, '.f is a function'],
      [[Symbol('s')], '[0] is a symbol'],
      [[2n], '[0] is a bigint'],
      [circle, 'in a circle'],
      [{ at: new Date(0) }, '.at is an instance of Date'],
      [new Map([[1, 2]]), 'it is an instance of Map'],
      [new Uint8Array(2), 'it is an instance of Uint8Array'],
      [{ p: new Point() }, '.p is an instance of Point'],
      [Object(1), 'it is an instance of Number'],
    ];
    for (const [value, text] of cases) {
      expect(() => json.encode(where, value)).toThrow(refusal(text));
      expect(() => json.encode(where, value)).toThrow(refusal(where));
    }
  });

  it('are refused when nested too deep, whatever the stack', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(() => json.encode(where, deep)).toThrow(refusal('deeper than 500'));
  });

  it('are refused on read where the text is not JSON', () => {
    expect(() => json.decode(where, 'soon')).toThrow(refusal('"soon" is not JSON'));
  });
});

describe('values with a schema', () => {
  const date: StandardSchemaV1<unknown, Date> = schema((value) => {
    const at = new Date(value as string);
    if (Number.isNaN(at.getTime()))
      return { issues: [{ message: 'must be a date', path: ['due', { key: 0 }, 'b c'] }, { message: 'or so' }] };
    return { value: at };
  });

  it('may be what the schema makes of JSON, such as dates', () => {
    const dates = valueCodec({ schema: date });
    const text = dates.encode(where, new Date(0));
    expect(text).toBe('"1970-01-01T00:00:00.000Z"');
    expect(dates.decode(where, text as string)).toEqual(new Date(0));
  });

  it('are refused with the issue and its path', () => {
    const dates = valueCodec({ schema: date });
    const text = `${where} does not fit the schema at .due[0]["b c"]: must be a date (and 1 more)`;
    expect(() => dates.encode(where, 'soon' as never)).toThrow(refusal(text));
    expect(() => dates.decode(where, '"soon"')).toThrow(refusal(text));
  });

  it('are stored as the schema returned them', async () => {
    const trimmed = schema((value) => ({ value: String(value).trim() }));
    expect(valueCodec({ schema: trimmed }).encode(where, ' a ')).toBe('"a"');
    const slow = schema(async (value) => ({ value: String(value).trim() }));
    expect(await valueCodec({ schema: slow }).encode(where, ' a ')).toBe('"a"');
    expect(await valueCodec({ schema: slow }).decode(where, '" a "')).toBe('a');
  });

  it('are refused when the schema lets through what JSON loses', () => {
    const anything = schema((value) => ({ value }));
    expect(() => valueCodec({ schema: anything }).encode(where, { a: Number.NaN })).toThrow(refusal('.a is NaN'));
  });
});

describe('values with a codec', () => {
  it('are refused when the codec makes no well-formed text of them', () => {
    for (const text of [7, undefined, '\ud800']) {
      const broken = valueCodec({ codec: { encode: () => text as string, decode: (stored) => stored } });
      expect(() => broken.encode(where, 'a')).toThrow(refusal(where));
    }
  });
});

it('a schema or codec that is none is refused when the handle is made', () => {
  const options = [
    { schema: {} },
    { schema: null },
    { schema: 'string' },
    { codec: {} },
    { codec: null },
    { codec: { encode: String } },
  ];
  for (const given of options as unknown[] as ValueOptions<unknown>[]) {
    expect(() => valueCodec(given)).toThrow(failure('INVALID_ARGUMENT'));
  }
});

function schema<V>(validate: StandardSchemaV1<unknown, V>['~standard']['validate']): StandardSchemaV1<unknown, V> {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}
