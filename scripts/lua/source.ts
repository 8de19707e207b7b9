import { basename, resolve } from 'node:path';
import ts from 'typescript';

/** An operation as its file declares it. A batch has neither keys nor args: it takes them all as they come. */
export interface OperationSource {
  name: string;
  keys: string[] | undefined;
  args: [name: string, type: string][];
}

/** Something that a file has at its top: a step function, a type, a constant. */
interface Declaration {
  name: string;
  text: string;
  /** All names in it. */
  uses: ReadonlySet<string>;
}

export interface OperationsFile {
  file: string;
  operations: OperationSource[];
  /** What it has beside its operations, for other files. */
  declarations: Declaration[];
  /** What it takes from other files of operations: name → file. */
  imports: Map<string, string>;
  /** The types of tx.ts that it uses. */
  types: Set<string>;
  /** The file, without its imports, with each operation turned into a plain function of the same name, its step. */
  functions: string;
}

/** Finds the operations of a file. Throws where one is not written down as literals, which is all that this reads. */
export function readOperations(file: string, text: string): OperationsFile {
  const source = ts.createSourceFile(`${file}.ts`, text, ts.ScriptTarget.ES2022, true);
  const operations: OperationSource[] = [];
  const declarations: Declaration[] = [];
  const imports = new Map<string, string>();
  const types = new Set<string>();
  let functions = text;
  for (const statement of source.statements.toReversed()) {
    const found = operationIn(statement);
    if (ts.isImportDeclaration(statement)) readImport(statement, imports, types);
    else if (found === undefined) {
      declarations.unshift(...declarationsIn(statement));
      continue;
    }
    const operation = found === undefined ? undefined : describe(file, found);
    if (operation !== undefined) operations.unshift(operation);
    const step = operation === undefined ? '' : functionOf(operation, found!, source);
    functions = functions.slice(0, statement.getStart(source)) + step + functions.slice(statement.end);
  }
  return { file, operations, declarations, imports, types, functions: local(functions) };
}

/**
 * The functions of a file behind all that they take from other files, directly or through another. Throws where two
 * things have one name: a script is one scope, and shows what it runs as it is written.
 */
export function linked(own: OperationsFile, fileOf: (file: string) => OperationsFile | undefined): string {
  const homes = new Map(own.declarations.map(({ name }) => [name, own.file]));
  for (const { name } of own.operations) homes.set(name, own.file);
  const taken = new Map<OperationsFile, Set<Declaration>>();
  const types = new Set(own.types);

  function take(name: string, file: string, by: string): void {
    const from = fileOf(file);
    const found = from?.declarations.find((each) => each.name === name);
    if (from === undefined || found === undefined) throw new Error(`${by}.ts: there is no ${name} in ${file}.ts`);
    const home = homes.get(name) ?? file;
    if (home !== file) throw new Error(`${by}.ts: ${name} of ${file}.ts meets that of ${home}.ts: rename one of them`);
    homes.set(name, file);
    const all = taken.get(from) ?? new Set();
    taken.set(from, all);
    if (all.has(found)) return;
    all.add(found);
    for (const type of from.types) types.add(type);
    for (const use of found.uses) {
      const elsewhere = from.imports.get(use);
      if (elsewhere !== undefined) take(use, elsewhere, file);
      else if (from.declarations.some((each) => each.name === use)) take(use, file, file);
    }
  }

  for (const [name, file] of own.imports) take(name, file, own.file);
  const others = [...taken].flatMap(([from, all]) => from.declarations.filter((each) => all.has(each)));
  const texts = others.map(({ text }) => local(text));
  const typeImport = `import type { ${[...types].join(', ')} } from ${JSON.stringify(txPath.replace(/\.ts$/, ''))};`;
  return [typeImport, ...texts, own.functions].join('\n');
}

/** Without `export`, which would make fields of a module of what is local to a script. */
function local(text: string): string {
  return text.replace(/^export (?=(?:async )?function|const)/gm, '');
}

function readImport(statement: ts.ImportDeclaration, imports: Map<string, string>, types: Set<string>): void {
  const from = (statement.moduleSpecifier as ts.StringLiteral).text;
  const names = statement.importClause?.namedBindings;
  if (names === undefined || !ts.isNamedImports(names))
    throw new Error(`the import of ${from} must name what it takes`);
  for (const { name, propertyName } of names.elements) {
    if (propertyName !== undefined) throw new Error(`the import of ${from}: ${name.text} must keep its name`);
    if (/(?:^|\/)tx\.ts$/.test(from)) types.add(name.text);
    else imports.set(name.text, basename(from, '.ts'));
  }
}

function declarationsIn(statement: ts.Statement): Declaration[] {
  const text = statement.getFullText().trim();
  const uses = new Set<string>();
  const collect = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) uses.add(node.text);
    ts.forEachChild(node, collect);
  };
  collect(statement);
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => ({ name: name.getText(), text, uses }));
  }
  const named = statement as ts.Statement & { name?: ts.Identifier };
  return named.name === undefined ? [] : [{ name: named.name.text, text, uses }];
}

interface Found {
  name: string;
  types: readonly ts.TypeNode[];
  literal: ts.ObjectLiteralExpression;
}

/** `export const NAME: Operation<…> = { … }`, or the same of a BatchOperation. */
function operationIn(statement: ts.Statement): Found | undefined {
  if (!ts.isVariableStatement(statement)) return undefined;
  const declaration = statement.declarationList.declarations[0]!;
  const { type, initializer, name } = declaration;
  if (type === undefined || !ts.isTypeReferenceNode(type) || !ts.isIdentifier(name)) return undefined;
  if (!/^(Batch)?Operation$/.test(type.typeName.getText())) return undefined;
  if (initializer === undefined || !ts.isObjectLiteralExpression(initializer)) {
    throw new Error(`operation ${name.text}: must be an object literal`);
  }
  return { name: name.text, types: type.typeArguments ?? [], literal: initializer };
}

function describe(file: string, { name, literal }: Found): OperationSource {
  const fullName = property(literal, 'name');
  if (fullName === undefined || !ts.isStringLiteral(fullName) || fullName.text !== `${file}.${name}`) {
    throw new Error(`operation ${name} in ${file}.ts: its name must be '${file}.${name}'`);
  }
  if (luaWords.has(name)) throw new Error(`operation ${file}.${name}: a word of Lua; name it otherwise`);
  const keys = property(literal, 'keys');
  const args = property(literal, 'args');
  if (keys === undefined && args === undefined) return { name, keys: undefined, args: [] };
  if (!ts.isArrayLiteralExpression(keys!) || !ts.isObjectLiteralExpression(args!)) {
    throw new Error(`operation ${file}.${name}: keys and args must be literals`);
  }
  return {
    name,
    keys: keys.elements.map((key) => (key as ts.StringLiteral).text),
    args: args.properties.map((arg) => [
      (arg.name as ts.Identifier).text,
      ((arg as ts.PropertyAssignment).initializer as ts.StringLiteral).text,
    ]),
  };
}

function property(literal: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  const found = literal.properties.find((each) => each.name?.getText() === name);
  return found !== undefined && ts.isPropertyAssignment(found) ? found.initializer : undefined;
}

function functionOf({ name, keys }: OperationSource, { types, literal }: Found, source: ts.SourceFile): string {
  const step = literal.properties.find((each) => each.name?.getText() === 'step');
  if (step === undefined || !ts.isMethodDeclaration(step) || step.body === undefined) {
    throw new Error(`operation ${name}: step must be a method`);
  }
  const given = types.map((type) => type.getText(source));
  const texts = keys === undefined ? ['readonly string[]', 'readonly string[]', ...given] : given;
  const parameterTypes = [`import(${JSON.stringify(txPath)}).Tx`, ...texts];
  const parameters = step.parameters.map((parameter, i) => `${parameter.name.getText(source)}: ${parameterTypes[i]!}`);
  return `function ${name}(${parameters.join(', ')}): ${texts[2]!} ${step.body.getText(source)}`;
}

const txPath = resolve(import.meta.dirname, '../../src/operations/tx.ts').replaceAll('\\', '/');

/** Words of Lua that TypeScript would let pass for a name, and the globals of a script. */
const luaWords: ReadonlySet<string> = new Set(
  'and elseif end goto local nil not or repeat then until error ipairs next pairs select table tx type'.split(' '),
);
