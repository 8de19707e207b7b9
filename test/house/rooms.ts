import { posix } from 'node:path';
import ts from 'typescript';
import { type Finding, type Sources, finder, walk } from './sources.ts';

interface Import {
  readonly node: ts.Node;
  readonly from: string;
  readonly typeOnly: boolean;
}

/**
 * For each room of src, a folder or a file beside them, the rooms that it may import from; itself goes without saying.
 * `engines/engine.ts` is the seam: what stands above the engines sees only its types.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  operations: [],
  engines: ['operations', 'base'],
  session: ['operations', 'base', 'engines/engine.ts'],
  primitives: ['session', 'operations', 'base', 'engines/engine.ts'],
  'lockstep.ts': ['primitives', 'session', 'operations', 'base', 'engines/engine.ts'],
  'open.ts': ['lockstep.ts', 'primitives', 'session', 'engines', 'operations', 'base'],
  'index.ts': ['open.ts', 'lockstep.ts', 'primitives', 'session', 'base', 'engines/engine.ts'],
  cli: ['index.ts'],
  dashboard: ['index.ts'],
};

/** The only room that may import a module. */
const homeOf: Readonly<Record<string, string>> = {
  'node:sqlite': 'src/engines/embedded/',
  'better-sqlite3': 'src/engines/embedded/',
  croner: 'src/primitives/ticks.ts',
  ioredis: 'src/engines/redis/',
  iovalkey: 'src/engines/redis/',
  redis: 'src/engines/redis/',
  '@redis/client': 'src/engines/redis/',
};

const seam = 'src/engines/engine.ts';
const thisFile = 'test/house/rooms.ts';

const forbiddenNames = /^(utils?|common|helpers?|misc|types)$/;
const forbiddenClass = /(Manager|Helper|Impl|Utils?)$/;

type Find = ReturnType<typeof finder>;

/** Directions between rooms, names of rooms, and which room may import what from outside. */
export function checkRooms({ files, path }: Sources): Finding[] {
  const found: Finding[] = [];
  for (const file of files) {
    const own = path(file);
    const find = finder(found, own);
    const [top = '', room = ''] = own.split('/');
    if (top === 'src') {
      checkNames(file, own, find);
      if (!(room in mayImport)) find(file, `${room} is no room: see docs/architecture.md, or add it to ${thisFile}`);
    }
    for (const imported of importsOf(file)) {
      if (imported.from.startsWith('.')) checkDirection(own, imported, find);
      else if (top === 'src') checkOutside(own, imported, find);
    }
  }
  return found;
}

function checkDirection(own: string, imported: Import, find: Find): void {
  const target = posix.join(posix.dirname(own), imported.from);
  if (own.startsWith('examples/') && target.startsWith('src/') && target !== 'src/index.ts') {
    find(imported.node, `an example imports ${target}: people copy it, so it may use src/index.ts only`);
  }
  if (!own.startsWith('src/')) return;
  if (target.startsWith('src/')) checkRoom(own, target, imported, find);
  else find(imported.node, `src imports ${target}, which is not published`);
}

function checkRoom(own: string, target: string, { node, typeOnly }: Import, find: Find): void {
  const [room = '', targetRoom = ''] = [own, target].map((path) => path.split('/')[1]);
  const allowed = mayImport[room] ?? [];
  if (targetRoom === room || allowed.includes(targetRoom)) return;
  if (target === seam && allowed.includes('engines/engine.ts')) {
    if (!typeOnly) find(node, `${room} sees the types of engines/engine.ts only: import type`);
    return;
  }
  const instead = allowed.length === 0 ? 'nothing but itself' : allowed.join(', ');
  find(node, `${room} imports ${target}: it may import ${instead}`);
}

function checkOutside(own: string, { node, from }: Import, find: Find): void {
  const name = from.startsWith('node:') || from.startsWith('@') ? from : (from.split('/')[0] ?? from);
  const home = homeOf[name];
  if (home !== undefined && !own.startsWith(home)) find(node, `${from} is imported in ${home} only`);
  if (home === undefined && !from.startsWith('node:')) {
    find(node, `${from} is no dependency of lockstep: write node:${from} for a module of Node's own`);
  }
}

function checkNames(file: ts.SourceFile, own: string, find: Find): void {
  for (const part of own.split('/')) {
    const name = part.replace(/\..*$/, '');
    if (forbiddenNames.test(name)) find(file, `${name} says nothing: name what is in it`);
  }
  for (const node of walk(file)) {
    if (ts.isClassDeclaration(node) && forbiddenClass.test(node.name?.text ?? '')) {
      find(node, `class ${node.name?.text ?? ''}: name what it is, not that it manages or helps`);
    }
    if (ts.isInterfaceDeclaration(node) && /^I[A-Z][a-z]/.test(node.name.text)) {
      find(node, `interface ${node.name.text}: without the I`);
    }
  }
}

function importsOf(file: ts.SourceFile): Import[] {
  const imports: Import[] = [];
  for (const node of walk(file)) {
    const from = specifierOf(node);
    if (from !== undefined) imports.push({ node, from, typeOnly: isTypeOnly(node) });
  }
  return imports;
}

/** The module that a node imports: `import`, `export … from`, `import()`, `require()`, `getBuiltinModule()`. */
function specifierOf(node: ts.Node): string | undefined {
  if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
    return textOfLiteral(node.moduleSpecifier);
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return textOfLiteral(node.argument.literal);
  if (!ts.isCallExpression(node)) return undefined;
  const callee = node.expression.getText();
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword || /(^|\W)require$/.test(callee);
  if (!isImport && !callee.endsWith('getBuiltinModule')) return undefined;
  const [argument] = node.arguments;
  return argument === undefined ? undefined : textOfLiteral(argument);
}

function textOfLiteral(node: ts.Node): string | undefined {
  return ts.isStringLiteralLike(node) ? node.text : undefined;
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true;
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  if (!ts.isImportDeclaration(node)) return false;
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  return (
    clause.name === undefined &&
    names !== undefined &&
    ts.isNamedImports(names) &&
    names.elements.every((name) => name.isTypeOnly)
  );
}
