import { resolve } from 'node:path';
import ts from 'typescript';

/** An operation as its file declares it. A batch has neither keys nor args: it takes them all as they come. */
export interface OperationSource {
  name: string;
  keys: string[] | undefined;
  args: [name: string, type: string][];
}

export interface OperationsFile {
  file: string;
  operations: OperationSource[];
  /** The file with each operation turned into a plain function of the same name, its step. */
  functions: string;
}

/** Finds the operations of a file. Throws where one is not written down as literals, which is all that this reads. */
export function readOperations(file: string, text: string): OperationsFile {
  const source = ts.createSourceFile(`${file}.ts`, text, ts.ScriptTarget.ES2022, true);
  const operations: OperationSource[] = [];
  let functions = text;
  for (const statement of source.statements.toReversed()) {
    const found = operationIn(statement);
    if (found === undefined) continue;
    const operation = describe(file, found);
    operations.unshift(operation);
    const from = statement.getStart(source);
    functions = functions.slice(0, from) + functionOf(operation, found, source) + functions.slice(statement.end);
  }
  return { file, operations, functions };
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
  const given = args.properties.map((arg): [string, string] => [
    (arg.name as ts.Identifier).text,
    ((arg as ts.PropertyAssignment).initializer as ts.StringLiteral).text,
  ]);
  const ranks = given.map(([, type]) => (type === 'setting' ? 2 : type.endsWith('?') ? 1 : 0));
  if (ranks.some((rank, i) => rank < (ranks[i - 1] ?? 0))) {
    throw new Error(`operation ${file}.${name}: args that may be left out come after the others, settings at the end`);
  }
  return { name, keys: keys.elements.map((key) => (key as ts.StringLiteral).text), args: given };
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
