/** `npm run build`: the published form of src in dist: JavaScript, declarations, and the generated Lua beside them. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
execFileSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit', shell: process.platform === 'win32' });

const lua = 'engines/redis/operations.lua';
if (existsSync(`src/${lua}`)) cpSync(`src/${lua}`, `dist/${lua}`);
