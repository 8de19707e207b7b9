/** `npm run package`: builds and packs the package, and checks what would be published. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { must } from './run.ts';
import { packTarball } from './tarball.ts';

const wanted = ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts', 'dist/cli/lockstep.js'];
/** Code as it runs, with its types, and the pages with what they link to. */
const published =
  /^package\/(package\.json|LICENSE|dist\/.*\.(js|d\.ts|lua)|(README|CONTRIBUTING|docs\/[\w-]+)\.md|docs\/plots\/[\w-]+\.svg|examples\/race\/scenarios\/transfer\.ts)$/;

const tarball = await packTarball();
const files = (await must('tar', ['-tzf', tarball])).trim().split('\n');
const missing = wanted.filter((file) => !files.includes(`package/${file}`));
if (missing.length > 0) throw new Error(`not in the package: ${missing.join(', ')}`);
const strangers = files.filter((file) => !published.test(file));
if (strangers.length > 0) throw new Error(`in the package, and should not be: ${strangers.join(', ')}`);
const dead = files.filter((file) => file.endsWith('.md')).flatMap(deadLinks);
if (dead.length > 0) throw new Error(`links that lead nowhere in the package: ${dead.join(', ')}`);

await must('publint', ['run', tarball, '--strict']);
await must('attw', [tarball, '--profile', 'esm-only']);
console.log(`${files.length} files, publint and attw have nothing to say`);

/** The links of a page of the package to what is not in the package. */
function deadLinks(page: string): string[] {
  const text = readFileSync(page.replace(/^package\//, ''), 'utf8');
  return [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)\s]*)?\)/g)]
    .map(([, link]) => posix.join(posix.dirname(page), link!))
    .filter((target) => !files.includes(target))
    .map((target) => `${page} → ${target}`);
}
