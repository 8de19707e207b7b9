import { readFileSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';
import * as tstl from 'typescript-to-lua';
import { linked, type OperationSource, type OperationsFile, readOperations } from './source.ts';

const preludePath = resolve(import.meta.dirname, '../../src/engines/redis/tx.lua');

/**
 * The script of each file with operations in a directory, by the file's name: with what it takes from the others in it.
 * Throws on what can't be compiled.
 */
export function compileOperations(directory: string): Map<string, string> {
  const files = readdirSync(directory).filter((file) => file.endsWith('.ts') && file !== 'tx.ts');
  const sources = new Map(
    files.sort().map((file) => {
      const path = resolve(directory, file);
      return [path, readOperations(file.slice(0, -'.ts'.length), readFileSync(path, 'utf8'))];
    }),
  );
  const fileOf = (file: string): OperationsFile | undefined => sources.get(resolve(directory, `${file}.ts`));
  const runs = [...sources].filter(([, source]) => source.operations.length > 0);
  const modules = transpile(new Map(runs.map(([path, source]) => [path, linked(source, fileOf)])));
  const prelude = preludeChunks(readFileSync(preludePath, 'utf8'));
  return new Map(
    runs.map(([path, { file, operations }]) => {
      const body = moduleBody(file, modules.get(path.replace(/\.ts$/, '.lua'))!);
      return [file, `${verbsUsed(prelude, body)}\n${body}\n${dispatch(operations)}`];
    }),
  );
}

/** All scripts in one file, each under its heading, as `scriptsOf` in src/engines/redis/runner.ts reads it. */
export function operationsLua(scripts: ReadonlyMap<string, string>): string {
  const sections = [...scripts].map(([file, script]) => `--==[ ${file} ]==\n\n${script}`);
  return `${heading}\n${sections.join('\n')}`;
}

const heading = `-- What src/operations compiles to. Made by \`npm run lua\`; do not change it here.
-- A section is one script, as it is sent to the server: the verbs of tx.lua that it uses, the operations of one
-- file, and the choice of one by ARGV[1]. KEYS and the rest of ARGV have the order that the operation names.
`;

/** TypeScript to Lua, of files that are given as text. */
function transpile(texts: ReadonlyMap<string, string>): Map<string, string> {
  const options: tstl.CompilerOptions = {
    luaTarget: tstl.LuaTarget.Lua51,
    luaLibImport: tstl.LuaLibImportKind.None,
    noImplicitSelf: true,
    noHeader: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.es2023.d.ts'],
    types: [],
    strict: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
  };
  const host = ts.createCompilerHost(options);
  const fromTexts: ts.CompilerHost = {
    ...host,
    readFile: (path) => texts.get(path) ?? host.readFile(path),
    getSourceFile(path, language, ...rest) {
      const text = texts.get(path);
      return text === undefined
        ? host.getSourceFile(path, language, ...rest)
        : ts.createSourceFile(path, text, language);
    },
  };
  const program = ts.createProgram([...texts.keys()], options, fromTexts);
  const output = new Map<string, string>();
  const { diagnostics } = new tstl.Transpiler().emit({
    program,
    writeFile: (path, text) => void output.set(path, text),
  });
  const all = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
  if (all.length > 0) throw new Error(ts.formatDiagnostics(all, { ...host, getCanonicalFileName: (path) => path }));
  return output;
}

/** What a module does, without what makes it a module. */
function moduleBody(file: string, lua: string): string {
  const body = lua
    .replace(/^local ____exports = \{\}\n/, '')
    .replace(/return ____exports\n$/, '')
    .replace(/^end\n(?!$)/gm, 'end\n\n');
  const stray = /__TS__\w+|____exports|\brequire\b/.exec(body);
  if (stray !== null) {
    throw new Error(
      `${file}.ts compiles to Lua that calls ${stray[0]}, which a script in Redis does not have: ` +
        'use a plainer construct (push one value at a time; take a text apart by a verb of Tx).',
    );
  }
  return body;
}

interface Chunk {
  name: string;
  lua: string;
}

/** The definitions of tx.lua, which empty lines divide. */
function preludeChunks(lua: string): Chunk[] {
  return lua.split(/\n\n+/).flatMap((chunk) => {
    const name = /^(?:local (?:function )?|function tx:)(\w+)/m.exec(chunk)?.[1];
    return name === undefined ? [] : [{ name, lua: `${chunk.trimEnd()}\n` }];
  });
}

/** Those definitions that a script needs, directly or through another, in their order. */
function verbsUsed(prelude: readonly Chunk[], body: string): string {
  const needed = new Set<Chunk>();
  const need = (lua: string): void => {
    for (const chunk of prelude) {
      if (needed.has(chunk) || !uses(lua, chunk)) continue;
      needed.add(chunk);
      need(chunk.lua);
    }
  };
  need(body);
  return prelude
    .filter((chunk) => needed.has(chunk))
    .map((chunk) => chunk.lua)
    .join('\n');
}

function uses(lua: string, { name, lua: definition }: Chunk): boolean {
  const call = definition.includes(`function tx:${name}`) ? `tx:${name}\\(` : `\\b${name}\\b`;
  return new RegExp(call).test(lua.replace(/^\s*--.*$/gm, ''));
}

/** Reads ARGV[1] and calls that operation with its keys and arguments by name. */
function dispatch(operations: readonly OperationSource[]): string {
  const cases = operations.map(({ name, keys, args }) => {
    if (keys === undefined) return [`if operation == '${name}' then`, `  return ${name}(tx, KEYS, ARGV)`, 'end'];
    const keyTable = keys.map((key, i) => `${key} = KEYS[${i + 1}]`);
    const argTable = args.map(([arg, type], i) =>
      type === 'text' ? `${arg} = ARGV[${i + 1}]` : `${arg} = tonumber(ARGV[${i + 1}])`,
    );
    return [
      `if operation == '${name}' then`,
      `  local keys = {${keyTable.join(', ')}}`,
      `  local ask = {${argTable.join(', ')}}`,
      `  return ${name}(tx, keys, ask)`,
      'end',
    ];
  });
  const lines = ['local operation = table.remove(ARGV, 1)', ...cases.flat(), "error('no operation ' .. operation)"];
  return `${lines.join('\n')}\n`;
}
