import { readFileSync, readdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import ts from 'typescript';
import * as tstl from 'typescript-to-lua';
import { inlined } from './inline.ts';
import { type OperationSource, type OperationsFile, readOperations } from './source.ts';

const preludePath = resolve(import.meta.dirname, '../../src/engines/redis/tx.lua');

/**
 * What the files of operations in a directory compile to, as `Scripts` in src/engines/redis/scripts.ts reads it: the
 * verbs, the functions of each file, and of each operation the lines that call it. Throws on what can't be compiled.
 */
export function compileOperations(directory: string): string {
  const paths = readdirSync(directory).filter((file) => file.endsWith('.ts') && file !== 'tx.ts');
  const sources = new Map(
    paths.sort().map((file) => {
      const path = resolve(directory, file);
      return [path, readOperations(file.slice(0, -'.ts'.length), readFileSync(path, 'utf8'))];
    }),
  );
  const modules = transpile(new Map([...sources].map(([path, source]) => [path, source.functions])));
  const prelude = readFileSync(preludePath, 'utf8').trim();
  const sections = [`--==[ tx ]==\n\n${prelude}\n`];
  for (const [path, source] of sources) {
    const functions = functionsOf(source, modules.get(path.replace(/\.ts$/, '.lua'))!);
    sections.push(`--==[ ${source.file} ]==\n\n${inlined(functions, prelude)}\n`);
    for (const operation of source.operations) sections.push(entryOf(source.file, operation));
  }
  return `${heading}\n${sections.join('\n')}`;
}

const heading = `-- What src/operations compiles to. Made by \`npm run lua\`; do not change it here.
-- First the verbs, then the functions of each file, and after these, under its name, how each operation is called:
-- KEYS and ARGV have the order that the operation names. The script that a server gets is such a call with those
-- verbs and functions before it that it needs: see scripts.ts.
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

/**
 * The functions of a module, without what makes it a module. Scripts have no modules: a function is called
 * `file_name` wherever it is used, in its own file and in those that import it.
 */
function functionsOf({ file }: OperationsFile, compiled: string): string {
  // A constant that is used by a function which others call before it is written is declared far above.
  const lua = compiled.replace(/^(?=\w+ = ["\d-])/gm, 'local ');
  const own = prefixOf(file);
  const functions = new Map<string, string>(); // what the module calls it → what it is called in scripts
  const constants = new Map<string, string>();
  for (const [, name] of lua.matchAll(/^(?:local )?function (\w+)\(/gm)) functions.set(name!, own + name!);
  for (const [, name] of lua.matchAll(/^(?:local )?(\w+) = (?!\{\}$|require\(|____)/gm))
    constants.set(name!, own + name!);
  const imports = new Map<string, string>();
  for (const [, name, path] of lua.matchAll(/^local (\w+) = require\("(?:.*[./])?([\w-]+)"\)$/gm)) {
    imports.set(name!, prefixOf(basename(path!)));
  }
  for (const [, name, module, exported] of lua.matchAll(/^local (\w+) = (____\w+)\.(\w+)$/gm)) {
    functions.set(name!, imports.get(module!)! + exported!);
    constants.set(name!, imports.get(module!)! + exported!);
  }
  const body = lua
    .replace(/^local (?:____exports = \{\}|\w+ = require\(.*\)|\w+ = ____\w+\.\w+|\w+(?:, \w+)*)\n/gm, '')
    .replace(/return ____exports\n$/, '')
    .replace(/^____exports\.(\w+)(?= = )/gm, (_, name: string) => `local ${own}${name}`)
    .replace(/____exports\.(\w+)/g, (_, name: string) => own + name)
    .replace(/(?<![\w.:'"])(\w+)\.(\w+)/g, (whole, module: string, name: string) =>
      imports.has(module) ? imports.get(module)! + name : whole,
    )
    .replace(/(?<![\w.:'"])(\w+)(?=\()/g, (name) => functions.get(name) ?? name)
    .replace(/(?<![\w.:'"])(\w+)(?![\w(])/g, (name) => constants.get(name) ?? name)
    .replace(/^(?=\w+ = )/gm, 'local ') // a constant that a function before it uses
    .replace(/^local \w+ = .*\n/gm, '$&\n')
    .replace(/^local function /gm, 'function ')
    .replace(/^end\n(?!$)/gm, 'end\n\n');
  const stray = /__TS__\w+|____\w+|\brequire\b/.exec(body);
  if (stray !== null) {
    throw new Error(
      `${file}.ts compiles to Lua that calls ${stray[0]}, which a script in Redis does not have: ` +
        'use a plainer construct (push one value at a time; take a text apart by a verb of Tx).',
    );
  }
  return body.trim();
}

function prefixOf(file: string): string {
  return `${file.replaceAll('-', '_')}_`;
}

/** Calls the operation with its keys and arguments by name. */
function entryOf(file: string, { name, keys, args }: OperationSource): string {
  const call = `return ${prefixOf(file)}${name}`;
  if (keys === undefined) return `--==[ ${file}.${name} ]==\n\n${call}(tx, KEYS, ARGV)\n`;
  const keyTable = keys.map((key, i) => `${key} = KEYS[${i + 1}]`);
  const sent = args.filter(([, type]) => type !== 'setting').map(([arg]) => arg);
  const argTable = args.map(([arg, type]) => `${arg} = ${givenBy(arg, type, sent.indexOf(arg) + 1)}`);
  return `--==[ ${file}.${name} ]==

local keys = {${keyTable.join(', ')}}
local ask = {${argTable.join(', ')}}
${call}(tx, keys, ask)
`;
}

function givenBy(arg: string, type: string, place: number): string {
  if (type === 'setting') return `SETTING.${arg}`;
  if (type === 'text') return `ARGV[${place}]`;
  if (type === 'text?') return `(ARGV[${place}] or '')`;
  return type === 'integer?' ? `tonumber(ARGV[${place}] or 0)` : `tonumber(ARGV[${place}])`;
}
