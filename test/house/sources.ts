import { globSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import ts from 'typescript';

const root: string = join(import.meta.dirname, '../..');

/** What is wrong, where, and what to do instead. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** The sources that the house rules read: files by their path from the root of the repository, with types. */
export interface Sources {
  readonly files: readonly ts.SourceFile[];
  readonly checker: ts.TypeChecker;
  /** From the root of the repository, with `/`. */
  readonly path: (file: ts.SourceFile) => string;
}

/**
 * The files on disk that match `pattern`, and those that `planted` adds or replaces (path → text), which is how the
 * rules themselves are tested.
 */
export function sources(pattern: string, planted: Readonly<Record<string, string>> = {}): Sources {
  const texts = new Map(Object.entries(planted).map(([path, text]) => [join(root, path), text]));
  const names = globSync(pattern, { cwd: root }).map((path) => join(root, path));
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config,
    ts.sys,
    root,
  );
  const host = ts.createCompilerHost(options, true);
  host.fileExists = (name) => texts.has(join(name)) || ts.sys.fileExists(name);
  host.readFile = (name) => texts.get(join(name)) ?? ts.sys.readFile(name);
  host.getSourceFile = (name, language) => {
    const text = host.readFile(name);
    return text === undefined ? undefined : ts.createSourceFile(name, text, language, true);
  };
  const wanted = new Set([...names, ...texts.keys()]);
  const program = ts.createProgram({ rootNames: [...wanted], options, host });
  return {
    files: program.getSourceFiles().filter((file) => wanted.has(join(file.fileName))),
    checker: program.getTypeChecker(),
    path: (file) => relative(root, file.fileName).split(sep).join('/'),
  };
}

/** The text of a file of the repository. */
export function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Makes the findings of one file. */
export function finder(found: Finding[], path: string): (node: ts.Node, text: string) => void {
  return (node, text) => {
    const { line } = node.getSourceFile().getLineAndCharacterOfPosition(node.getStart());
    found.push({ file: path, line: line + 1, text });
  };
}

/** A node and all below it, in the order of the text. */
export function* walk(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => {
    children.push(child);
  });
  for (const child of children) yield* walk(child);
}

/** One line a finding, as an editor links it; '' where there is none. */
export function report(findings: readonly Finding[]): string {
  return findings.map(({ file, line, text }) => `${file}:${line} ${text}`).join('\n');
}
