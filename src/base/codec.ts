import { isDeepStrictEqual } from 'node:util';
import { invalidArgument, LockstepError } from './errors.ts';
import { limits } from './limits.ts';

/**
 * A schema of any library that speaks Standard Schema 1 (https://standardschema.dev): Zod, Valibot, ArkType, …
 * Only what lockstep uses of it.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validation<Output> | Promise<Validation<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type Validation<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** How values become text and come back: `decode(encode(value))` is the value. For what JSON can't carry. */
export interface Codec<V> {
  encode(value: V): string;
  decode(text: string): V;
}

/** How the values of a map, a value, … are typed and stored. Without either they are JSON and of any shape. */
export interface ValueOptions<V> {
  /** Validates on write and on read. What it returns is what is stored: it must accept its own output. */
  schema?: StandardSchemaV1<unknown, V>;
  /** Stores values as other text than JSON. */
  codec?: Codec<V>;
}

export const valueOptions: ReadonlySet<string> = new Set(['schema', 'codec']);

/** Names a value for errors, such as `map "stock", key "apple"`; a function where that would be done each time for nothing. */
export type Where = string | (() => string);

/**
 * Values to text and back. Both directions answer at once unless the schema is asynchronous, and fail with `INVALID_VALUE`.
 */
export interface ValueCodec<V> {
  encode(where: Where, value: V): string | Promise<string>;
  decode(where: Where, text: string): V | Promise<V>;
  /** Whether two stored texts are one value: the same JSON, in whatever order its properties come; or the same text. */
  same(a: string, b: string): boolean;
}

/** The codec of a handle. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function valueCodec<V>(options: ValueOptions<V>): ValueCodec<V> {
  const { schema, codec } = options;
  if (codec !== undefined && !isCodec(codec)) {
    throw invalidArgument('codec', codec, 'an object with the functions encode and decode');
  }
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    throw invalidArgument(
      'schema',
      schema,
      'a Standard Schema (https://standardschema.dev), such as one of Zod or Valibot',
    );
  }
  if (schema !== undefined) return validated(schema, codec === undefined ? jsonCodec(true) : customCodec(codec));
  return codec === undefined ? (json as TextCodec<V>) : customCodec(codec);
}

interface TextCodec<V> {
  encode(where: Where, value: V): string;
  decode(where: Where, text: string): V;
  same(a: string, b: string): boolean;
}

function validated<V>(schema: StandardSchemaV1<unknown, V>, text: TextCodec<V>): ValueCodec<V> {
  const validate = (where: Where, value: unknown): V | Promise<V> => {
    const result = schema['~standard'].validate(value);
    return result instanceof Promise ? result.then((later) => accepted(where, later)) : accepted(where, result);
  };
  return {
    encode(where, value) {
      const valid = validate(where, value);
      return valid instanceof Promise ? valid.then((later) => text.encode(where, later)) : text.encode(where, valid);
    },
    decode: (where, stored) => validate(where, text.decode(where, stored)),
    same: text.same,
  };
}

function accepted<V>(where: Where, result: Validation<V>): V {
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  let path = '';
  for (const part of issue?.path ?? []) path += step(typeof part === 'object' ? part.key : part);
  const at = path === '' ? '' : ` at ${path}`;
  const more = result.issues.length > 1 ? ` (and ${result.issues.length - 1} more)` : '';
  throw invalidValue(where, `does not fit the schema${at}: ${issue?.message ?? 'refused'}${more}`, {
    issues: result.issues,
  });
}

function customCodec<V>(codec: Codec<V>): TextCodec<V> {
  return {
    encode(where, value) {
      const text: unknown = codec.encode(value);
      if (typeof text !== 'string')
        throw invalidValue(where, `can't be stored: its codec encoded it as ${kindOf(text)}, not text`);
      // Half a surrogate pair does not survive UTF-8.
      if (/\p{Cs}/u.test(text))
        throw invalidValue(where, `can't be stored: its codec encoded it as text that is not well-formed`);
      return bounded(where, text);
    },
    decode(where, text) {
      try {
        return codec.decode(text);
      } catch (cause) {
        throw invalidValue(where, `can't be read: its codec does not understand ${excerpt(text)}`, { cause });
      }
    },
    same: (a, b) => a === b,
  };
}

/** `typed`: something turns the text of dates and the like back, so that they may be stored by their `toJSON`. */
function jsonCodec<V>(typed: boolean): TextCodec<V> {
  return {
    encode(where, value) {
      const flaw = flawOf(value, typed, 0);
      if (flaw !== undefined) {
        throw invalidValue(where, `can't be stored as JSON: ${flaw.path === '' ? 'it' : flaw.path} is ${flaw.what}`);
      }
      return bounded(where, JSON.stringify(value));
    },
    decode(where, text) {
      try {
        return JSON.parse(text) as V;
      } catch (cause) {
        throw invalidValue(where, `can't be read: ${excerpt(text)} is not JSON`, { cause });
      }
    },
    same: (a, b) => a === b || isSameJson(a, b),
  };
}

const json: TextCodec<unknown> = jsonCodec(false);

function isSameJson(a: string, b: string): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(a), JSON.parse(b));
  } catch {
    return false;
  }
}

function bounded(where: Where, text: string): string {
  if (text.length <= limits.valueLengthMax) return text;
  throw invalidValue(where, `is too long: ${text.length} characters, of at most ${limits.valueLengthMax}`);
}

interface Flaw {
  path: string;
  what: string;
}

/** What `JSON.stringify` would leave out, change or stumble over, and where it is; nothing where all is well. */
function flawOf(value: unknown, typed: boolean, depth: number): Flaw | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : { path: '', what: String(value) };
  if (typeof value !== 'object') return { path: '', what: kindOf(value) };
  if (depth > limits.valueDepthMax)
    return { path: '', what: `nested deeper than ${limits.valueDepthMax} levels, or in a circle` };
  if (Array.isArray(value)) return flawInArray(value, typed, depth);
  if (typed && typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    return flawOf((value as { toJSON(): unknown }).toJSON(), typed, depth + 1);
  }
  if (!isPlain(value))
    return { path: '', what: `${kindOf(value)}, which JSON can't bring back; use a plain object, or a codec` };
  return flawInObject(value as Record<string, unknown>, typed, depth);
}

function flawInArray(array: readonly unknown[], typed: boolean, depth: number): Flaw | undefined {
  // By index: a hole is undefined, and would come back as null.
  for (let i = 0; i < array.length; i++) {
    const flaw = flawOf(array[i], typed, depth + 1);
    if (flaw !== undefined) return within(step(i), flaw);
  }
  return undefined;
}

function flawInObject(object: Record<string, unknown>, typed: boolean, depth: number): Flaw | undefined {
  for (const key of Object.keys(object)) {
    const flaw = flawOf(object[key], typed, depth + 1);
    if (flaw !== undefined) return within(step(key), flaw);
  }
  return undefined;
}

function within(outer: string, flaw: Flaw): Flaw {
  // The path into a circle is long and says nothing.
  const path = outer + flaw.path;
  return { path: path.length > 200 ? `${path.slice(0, 200)}…` : path, what: flaw.what };
}

/** Also of another realm: the prototype of a plain object is none, or a root. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isCodec(codec: unknown): boolean {
  const given = codec as Partial<Codec<unknown>> | null;
  return typeof given?.encode === 'function' && typeof given.decode === 'function';
}

function step(key: PropertyKey): string {
  if (typeof key === 'number') return `[${key}]`;
  if (typeof key === 'symbol') return `[${key.toString()}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'undefined';
  if (value === null) return 'null';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const name = (value.constructor as { name?: unknown } | undefined)?.name;
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object';
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function invalidValue(where: Where, what: string, about: { cause?: unknown; issues?: unknown } = {}): LockstepError {
  const { cause, issues } = about;
  const name = typeof where === 'string' ? where : where();
  return new LockstepError('INVALID_VALUE', `the value of ${name} ${what}`, {
    cause,
    details: issues === undefined ? { where: name } : { where: name, issues },
  });
}
