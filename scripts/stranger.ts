/**
 * A stranger's program: the packed package installed in a folder of its own, a small program compiled against its types,
 * run by two processes at once, under every Node of this machine. Node 20 gets better-sqlite3, as its users would.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { must, run } from './run.ts';
import { packTarball } from './tarball.ts';

interface Node {
  /** The program itself. */
  readonly path: string;
  readonly version: string;
  /** Whether it has node:sqlite without a flag. */
  readonly hasSqlite: boolean;
}

const times = 1_000;
const program = `
import { open } from 'lockstep';

await using shared = await open('./state');
const lock = shared.lock('number', { ttl: '5s' });
const numbers = shared.map<number>('numbers');
for (let i = 0; i < Number(process.argv[2]); i++) {
  await lock.run(async (lease) => {
    const n = (await numbers.get('n')) ?? 0;
    await numbers.set('n', n + 1, { guard: lease });
  }, { timeout: '60s' });
}
console.log(await numbers.get('n'), await shared.counter('runs').add());
`;

const sqlite = 'better-sqlite3@12.11.1';
const sqliteParts = ['better-sqlite3', 'bindings', 'file-uri-to-path'];

/** The PATH without what npm puts before it. */
const systemPath = (process.env['PATH'] ?? '').split(delimiter).filter((part) => !part.includes('node_modules'));

const folder = mkdtempSync(join(tmpdir(), 'lockstep-stranger-'));
const inFolder = { cwd: folder, timeoutMs: 300_000 };
try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  await settle();
  const nodes = await usableNodes();
  for (const [first, second] of pairs(nodes)) {
    await addTogether(first, second);
    console.log(`Node ${first.version} and ${second.version} added ${times} each: ${2 * times}`);
  }
  for (const node of nodes) await holdFromTheShell(node);
}

/** Installs the package, and compiles the program, with all of the package's declarations checked. */
async function settle(): Promise<void> {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }));
  await must('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', await packTarball()], { cwd: folder });
  for (const part of ['@types/node', 'undici-types']) {
    cpSync(`node_modules/${part}`, join(folder, 'node_modules', part), { recursive: true });
  }
  const compilerOptions = {
    target: 'ES2022',
    module: 'NodeNext',
    strict: true,
    types: ['node'],
    lib: ['ES2023', 'ESNext.Disposable'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
  writeFileSync(join(folder, 'program.ts'), program);
  await must('tsc', [], { cwd: folder });
}

/** Two processes add to one number at once; neither loses what the other added. */
async function addTogether(first: Node, second: Node): Promise<void> {
  rmSync(join(folder, 'state'), { recursive: true, force: true });
  const adding = [first, second].map((node) => must(node.path, ['program.js', String(times)], inFolder));
  await Promise.allSettled(adding);
  await Promise.all(adding);
  const said = (await must(first.path, ['program.js', '0'], inFolder)).trim();
  if (said !== `${2 * times} 3`)
    throw new Error(`Node ${first.version} and ${second.version}: ${said}, not ${2 * times} 3`);
}

/** The CLI that the package installs: the command's exit code and its fence come through. */
async function holdFromTheShell(node: Node): Promise<void> {
  const cli = join(folder, 'node_modules/lockstep/dist/cli/lockstep.js');
  const script = 'process.exit(Number(process.env.LOCKSTEP_FENCE) > 0 ? 7 : 1)';
  const args = [cli, 'exec', 'job', '--at', './state', '--', process.execPath, '-e', script];
  const { problem, output } = await run(node.path, args, inFolder);
  if (problem !== 'exit 7')
    throw new Error(`lockstep exec under Node ${node.version}: ${problem ?? 'exit 0'}\n${output}`);
}

/** The Node of this script, and the first one on the PATH that is not the project's own. */
async function usableNodes(): Promise<Node[]> {
  const nodes = [await nodeAt(process.execPath)];
  const system = systemPath.map((part) => join(part, 'node')).find((path) => existsSync(path));
  if (system === undefined) return nodes;
  const node = await nodeAt(system);
  if (node.version === nodes[0]?.version) return nodes;
  if (node.hasSqlite || (await installSqlite(node))) nodes.push(node);
  return nodes;
}

async function nodeAt(path: string): Promise<Node> {
  const version = (await must(path, ['-p', 'process.versions.node'])).trim();
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return { path, version, hasSqlite: major > 22 || (major === 22 && minor >= 13) };
}

/** Compiling it takes most of a minute, without optimizing half of that, so it is kept. False, and said so, where it can't be had. */
async function installSqlite(node: Node): Promise<boolean> {
  const kept = resolve('.cache', `${sqlite}-node${node.version}-${process.platform}-${process.arch}`);
  if (!existsSync(kept)) {
    const making = mkdtempSync(join(tmpdir(), 'lockstep-sqlite-'));
    try {
      writeFileSync(join(making, 'package.json'), '{ "private": true }');
      const env = {
        JOBS: 'max',
        CFLAGS: '-O0',
        CXXFLAGS: '-O0',
        PATH: [dirname(node.path), ...systemPath].join(delimiter),
      };
      const { problem, output } = await run('npm', ['install', '--no-audit', '--no-fund', sqlite], {
        cwd: making,
        env,
      });
      if (problem !== undefined) {
        console.log(
          `${output.trimEnd()}\nskipped: Node ${node.version} needs ${sqlite}, which did not install (${problem})`,
        );
        return false;
      }
      mkdirSync(dirname(kept), { recursive: true });
      cpSync(join(making, 'node_modules'), `${kept}.new`, { recursive: true });
      renameSync(`${kept}.new`, kept);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }
  for (const part of sqliteParts) cpSync(join(kept, part), join(folder, 'node_modules', part), { recursive: true });
  return true;
}

/** Each with itself, and with each other: they share a directory whatever runs them. */
function pairs(nodes: readonly Node[]): (readonly [Node, Node])[] {
  return nodes.flatMap((first, i) => nodes.slice(i).map((second) => [first, second] as const));
}
