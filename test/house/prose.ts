import ts from 'typescript';
import { type Finding, type Sources, finder, walk } from './sources.ts';

/** Lines of a function that are its own: without blank ones, comments, and the functions in it. */
const ownLinesMax = 70;

/** Every export of src/index.ts says in a sentence what it promises. */
export function checkPublicSurface({ files, checker, path }: Sources): Finding[] {
  const found: Finding[] = [];
  const index = files.find((file) => path(file) === 'src/index.ts');
  if (index === undefined) return found;
  for (const statement of index.statements) {
    if (!ts.isExportDeclaration(statement)) finder(found, path(index))(statement, 'the front door holds exports only');
  }
  const module = checker.getSymbolAtLocation(index);
  for (const name of module === undefined ? [] : checker.getExportsOfModule(module)) {
    const symbol = (name.flags & ts.SymbolFlags.Alias) === 0 ? name : checker.getAliasedSymbol(name);
    const declaration = symbol.declarations?.[0];
    if (declaration === undefined || symbol.getDocumentationComment(checker).length > 0) continue;
    const find = finder(found, path(declaration.getSourceFile()));
    find(
      declaration,
      `${symbol.name} is public and says nothing: one sentence of contract, then units, errors, guarantee`,
    );
  }
  return found;
}

/** A test's title is a sentence about behaviour. */
export function checkTitles({ files, path }: Sources): Finding[] {
  const found: Finding[] = [];
  for (const file of files) {
    const own = path(file);
    if (!own.endsWith('.test.ts')) continue;
    const find = finder(found, own);
    for (const node of walk(file)) {
      const title = titleOf(node);
      if (title === undefined) continue;
      if (/^[A-Z](?![A-Z])[a-z]* /.test(title)) find(node, `"${title}": a title begins with a small letter`);
      if (title.endsWith('.')) find(node, `"${title}": no full stop`);
      if (/^should\b/.test(title)) find(node, `"${title}": say what it does, not what it should`);
      if (!title.trim().includes(' ')) find(node, `"${title}": a title is a sentence about behaviour`);
    }
  }
  return found;
}

function titleOf(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node) || !/^(test|it)\b/.test(node.expression.getText())) return undefined;
  const [title, ...rest] = node.arguments;
  if (title === undefined || rest.length === 0 || !ts.isStringLiteralLike(title)) return undefined;
  return /^(%s|\$\w+)$/.test(title.text) ? undefined : title.text; // of test.each: the title is in the table
}

/** A function fits a screen. */
export function checkLengths({ files, path }: Sources): Finding[] {
  const found: Finding[] = [];
  for (const file of files) {
    const find = finder(found, path(file));
    for (const node of walk(file)) {
      if (!isFunction(node)) continue;
      const lines = ownLines(node);
      if (lines > ownLinesMax) find(node, `${lines} lines of its own: a function fits a screen, ${ownLinesMax} lines`);
    }
  }
  return found;
}

function isFunction(node: ts.Node): node is ts.FunctionLikeDeclaration {
  return ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;
}

function ownLines(node: ts.FunctionLikeDeclaration): number {
  const file = node.getSourceFile();
  const lines = new Set<number>();
  const visit = (inner: ts.Node): void => {
    if (inner !== node && isFunction(inner)) return;
    if (inner.getChildCount() === 0) {
      lines.add(file.getLineAndCharacterOfPosition(inner.getStart()).line);
      lines.add(file.getLineAndCharacterOfPosition(inner.getEnd()).line);
    }
    for (const child of inner.getChildren()) if (!ts.isJSDoc(child)) visit(child);
  };
  visit(node);
  return lines.size;
}

/** A length of time in src has a name, and a line in src/base/limits.ts. */
export function checkTimers({ files, path }: Sources): Finding[] {
  const found: Finding[] = [];
  for (const file of files) {
    const own = path(file);
    if (!own.startsWith('src/')) continue;
    const find = finder(found, own);
    for (const node of walk(file)) {
      if (!ts.isCallExpression(node) || !/(^|\.)(setTimeout|setInterval|timer|sleep)$/.test(node.expression.getText()))
        continue;
      const length = node.arguments.find((argument) => ts.isNumericLiteral(argument));
      if (length !== undefined && length.getText() !== '0') {
        find(length, `${length.getText()} ms: name it in src/base/limits.ts, with its unit`);
      }
    }
  }
  return found;
}
