import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { afterAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'lockstep-readme-'));
afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));

interface Snippet {
  readonly section: string;
  readonly file: string;
}

/** The quick start stands for itself; the others go on from `shared`. */
const opening = "import { open } from 'lockstep';\nconst shared = await open();\n";
const closing = 'await shared.close();\n';

const snippets = snippetsOf(readFileSync(join(root, 'README.md'), 'utf8'));

describe('the code of the README', () => {
  test('is there', () => {
    expect(snippets.length).toBeGreaterThan(5);
  });

  test('has no type error', { timeout: 180_000 }, () => {
    const options: ts.CompilerOptions = {
      ...ts.convertCompilerOptionsFromJson(
        (
          ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')).config as {
            compilerOptions: object;
          }
        ).compilerOptions,
        root,
      ).options,
      typeRoots: [join(root, 'node_modules/@types')],
      paths: { lockstep: [join(root, 'src/index.ts')] },
    };
    const program = ts.createProgram(
      snippets.map(({ file }) => file),
      options,
    );
    const problems = ts.getPreEmitDiagnostics(program).filter(({ file }) => file?.fileName.startsWith(directory));
    const host = {
      getCanonicalFileName: (path: string) => path,
      getCurrentDirectory: () => directory,
      getNewLine: () => '\n',
    };
    expect(ts.formatDiagnostics(problems, host)).toBe('');
  });

  test.each(snippets)('runs: $section', { timeout: 90_000 }, ({ file }) => {
    // Type stripping knows no `paths`.
    const source = readFileSync(file, 'utf8').replace("'lockstep'", JSON.stringify(join(root, 'src/index.ts')));
    const runnable = file.replace('.mts', '.run.mts');
    writeFileSync(runnable, source);
    const node = join(root, 'node_modules/.bin/node');
    const run = spawnSync(node, [runnable], { cwd: join(file, '..'), encoding: 'utf8', timeout: 60_000 });
    expect([run.status, run.stderr]).toEqual([0, '']);
    expect(run.stdout).not.toBe('');
  });
});

function snippetsOf(page: string): Snippet[] {
  const found: Snippet[] = [];
  for (const part of page.split(/^##+ /m)) {
    const section = part.split('\n', 1)[0]!;
    for (const [, code = ''] of part.matchAll(/^```(?:ts|js)\n([^]*?)^```/gm)) {
      const place = join(directory, String(found.length));
      mkdirSync(place);
      const file = join(place, 'snippet.mts');
      writeFileSync(file, code.includes("from 'lockstep'") ? code : opening + code + closing);
      found.push({ section, file });
    }
  }
  return found;
}
