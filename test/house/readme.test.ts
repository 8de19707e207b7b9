import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { textOf } from './sources.ts';

const root: string = join(import.meta.dirname, '../..');
type Table = Record<string, string>;
const { scripts, dependencies, devDependencies, peerDependencies } = JSON.parse(textOf('package.json')) as Record<
  string,
  Table
>;
const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })].filter((page) =>
  existsSync(join(root, page)),
);

describe('what the pages say', () => {
  test.each(pages)('every command of %s is there', (page) => {
    const missing = commandsOf(textOf(page)).filter((command) => !isThere(command));
    expect(missing).toEqual([]);
  });

  test.each(pages)('every link of %s leads somewhere', (page) => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)/g)].map(
      ([, link]) => link!,
    );
    const dead = links.filter((link) => !existsSync(join(root, page, '..', link)));
    expect(dead).toEqual([]);
  });
});

test('every script runs a file that is there', () => {
  const missing = Object.entries(scripts!).filter(([, command]) => !isThere(command));
  expect(missing).toEqual([]);
});

test('docs/dependencies.md has a reason for every dependency, and for no other', () => {
  const rows = [...textOf('docs/dependencies.md').matchAll(/^\| (`.*?) \|/gm)].map(([, names]) => names!);
  const named = rows.flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
  const declared = Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies });
  expect([...new Set(named)].toSorted()).toEqual(declared.toSorted());
});

/** The shell lines of a page: fenced blocks of sh, bash, console or shell, one command each between && and ;. */
function commandsOf(text: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|bash|console|shell)\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  const inline = [...text.matchAll(/`((?:npm|npx|node) [^`\n]+)`/g)].map(([, command]) => command!);
  return [...blocks.flatMap((block) => block.split('\n')), ...inline]
    .map((line) => line.replace(/^\$ /, '').replace(/#.*$/, ''))
    .flatMap((line) => line.split(/&&|;/))
    .map((command) => command.trim())
    .filter((command) => command !== '');
}

/** Whether a command of npm or node names a script or a file that exists. Of other commands nothing is known. */
function isThere(command: string): boolean {
  const [tool, first, second] = command.split(/\s+/);
  if (tool === 'npm' && (first === 'test' || first === 'start')) return first in scripts!;
  if (tool === 'npm' && first === 'run') return second === undefined || second.startsWith('-') || second in scripts!;
  if (tool === 'node' && first !== undefined && /^[\w./-]+\.(ts|js)$/.test(first)) return existsSync(join(root, first));
  return true;
}
