/**
 * `npm run bench`: every benchmark, one after the other; `npm run bench -- locks-embedded --json` one of them, with its
 * options behind it. Each file of this folder is one.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const all = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
  .map((file) => file.slice(0, -'.ts'.length));
process.exitCode = main(process.argv.slice(2));

function main(given: readonly string[]): number {
  const first = given.findIndex((word) => word.startsWith('-'));
  const names = first === -1 ? given : given.slice(0, first);
  const options = given.slice(names.length);
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    console.error(`There is no benchmark ${unknown}: use ${all.join(', ')}`);
    return 2;
  }
  let failed = 0;
  for (const name of names.length === 0 ? all : names) {
    const file = join(import.meta.dirname, `${name}.ts`);
    if (spawnSync(process.execPath, [file, ...options], { stdio: 'inherit' }).status !== 0) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}
