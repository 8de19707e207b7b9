/** `npm run package`: builds and packs the package, and checks what would be published. */
import { must } from './run.ts';
import { packTarball } from './tarball.ts';

const wanted = ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts', 'dist/cli/lockstep.js'];
const published = /^package\/(package\.json|README\.md|LICENSE|dist\/|src\/)/;

const tarball = await packTarball();
const files = (await must('tar', ['-tzf', tarball])).trim().split('\n');
const missing = wanted.filter((file) => !files.includes(`package/${file}`));
if (missing.length > 0) throw new Error(`not in the package: ${missing.join(', ')}`);
const strangers = files.filter((file) => !published.test(file));
if (strangers.length > 0) throw new Error(`in the package, and should not be: ${strangers.join(', ')}`);

await must('publint', ['run', tarball, '--strict']);
await must('attw', [tarball, '--profile', 'esm-only']);
console.log(`${files.length} files, publint and attw have nothing to say`);
