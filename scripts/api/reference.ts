import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/** docs/api.md: all that src/index.ts exports, with what stands in the sources about it. */
export function apiReference(index: string): string {
  const files = new Map<string, ts.SourceFile>();
  const parse = (path: string): ts.SourceFile => {
    let file = files.get(path);
    if (file === undefined) {
      file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
      files.set(path, file);
    }
    return file;
  };
  const exported = [...exportsOf(parse(index))];
  const sections: Section[] = [];
  for (const { name, path } of exported) {
    const found = parse(path).statements.filter((statement) => nameOf(statement) === name);
    if (found.length === 0) throw new Error(`${path} does not declare ${name}`);
    sections.push({ name, text: sectionOf(name, found) });
  }
  sections.push(...local(exported, sections, parse));
  const links = sections.map(({ name }) => `[${name}](#${name.toLowerCase()})`).join(', ');
  return `${head}${links}.\n\n${sections.map(({ text }) => text).join('\n')}`;
}

interface Section {
  readonly name: string;
  readonly text: string;
}

const head = `# All that there is

Made by \`npm run api\` of what the sources say: each method and option, with its type. The other pages tell how they go together.

`;

function* exportsOf(index: ts.SourceFile): Iterable<{ name: string; path: string }> {
  for (const statement of index.statements) {
    if (!ts.isExportDeclaration(statement) || statement.moduleSpecifier === undefined) continue;
    const from = (statement.moduleSpecifier as ts.StringLiteral).text;
    const path = join(dirname(index.fileName), from);
    if (statement.exportClause === undefined || !ts.isNamedExports(statement.exportClause)) continue;
    for (const { name } of statement.exportClause.elements) yield { name: name.text, path };
  }
}

/** What is not exported, but named by what is, in the same file. */
function* local(
  exported: readonly { name: string; path: string }[],
  sections: readonly Section[],
  parse: (path: string) => ts.SourceFile,
): Iterable<Section> {
  const known = new Set(exported.map(({ name }) => name));
  for (const [i, { path }] of exported.entries()) {
    const words = new Set(sections[i]!.text.match(/\w+/g));
    for (const statement of parse(path).statements) {
      const name = nameOf(statement);
      if (name === undefined || known.has(name) || !words.has(name) || !isType(statement)) continue;
      known.add(name);
      yield { name, text: sectionOf(name, [statement]) };
    }
  }
}

function isType(statement: ts.Statement): boolean {
  return ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
}

function nameOf(statement: ts.Statement): string | undefined {
  return (statement as ts.Statement & { name?: ts.Identifier }).name?.text;
}

/** Of a function each way to call it has a declaration, and one more, which does it, a body. */
function sectionOf(name: string, all: readonly ts.Statement[]): string {
  const lines = [`## ${name}`, ''];
  const ways = all.length > 1 ? all.filter((one) => (one as ts.FunctionDeclaration).body === undefined) : all;
  for (const declared of ways) lines.push(...linesOf(declared));
  return lines.join('\n');
}

function linesOf(declared: ts.Statement): string[] {
  const lines: string[] = [];
  const about = commentOf(declared);
  if (about !== '') lines.push(about, '');
  if (ts.isInterfaceDeclaration(declared)) {
    for (const clause of declared.heritageClauses ?? []) lines.push(`All of \`${oneLine(clause.types)}\`, and:`, '');
    for (const member of declared.members) lines.push(entryOf(member));
    if (declared.members.length > 0) lines.push('');
  } else if (ts.isClassDeclaration(declared)) {
    for (const member of declared.members) if (isPublic(member)) lines.push(entryOf(member));
    lines.push('');
  } else lines.push('```ts', signatureOf(declared), '```', '');
  return lines;
}

function isPublic(member: ts.ClassElement): boolean {
  return ts.isPropertyDeclaration(member) && !ts.isPrivateIdentifier(member.name) && commentOf(member) !== '';
}

function entryOf(member: ts.Node): string {
  const about = commentOf(member);
  const text = `- \`${signatureOf(member)}\``;
  return about === '' ? text : `${text}  \n  ${about}`;
}

/** Without a body, and what a type alias stands for as it is written. */
function signatureOf(node: ts.Node): string {
  const text = ts.isFunctionDeclaration(node) && node.body !== undefined ? withoutBody(node) : node.getText();
  const plain = text.replace(/^export /, '').replaceAll(/\/\*\*[^]*?\*\/\s*/g, '');
  return ts.isTypeAliasDeclaration(node) ? plain : collapsed(plain).replace(/;$/, '');
}

function withoutBody(node: ts.FunctionDeclaration): string {
  return node.getSourceFile().text.slice(node.getStart(), node.body!.getStart());
}

function oneLine(nodes: readonly ts.Node[]): string {
  return nodes.map((node) => collapsed(node.getText())).join(', ');
}

function collapsed(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/([([{]) /g, '$1')
    .replaceAll(/,? ([)\]])/g, '$1')
    .trim();
}

/** The last comment before a node, as one paragraph for each that it has. */
function commentOf(node: ts.Node): string {
  const docs = (node as ts.Node & { jsDoc?: readonly ts.JSDoc[] }).jsDoc ?? [];
  const text = ts.getTextOfJSDocComment(docs.at(-1)?.comment) ?? '';
  return text.replaceAll(/\n(?=[^\n-])/g, ' ').trim();
}
