/**
 * `npm run lua`: writes src/engines/redis/operations.lua, the operations as Redis runs them.
 * `--check` writes nothing and fails when the file is not what the sources compile to.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { compileOperations } from './lua/compile.ts';

const path = 'src/engines/redis/operations.lua';
const lua = compileOperations('src/operations');

if (!process.argv.includes('--check')) writeFileSync(path, lua);
else if (readFileSync(path, 'utf8') !== lua) {
  console.error(`${path} is not what src/operations compiles to: run \`npm run lua\` and commit the result.`);
  process.exitCode = 1;
}
