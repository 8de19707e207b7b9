/** `npm run build`: the published form of src in dist: JavaScript, declarations, and the generated Lua beside them. */
import { cpSync, existsSync, rmSync } from 'node:fs';
import { must } from './run.ts';

rmSync('dist', { recursive: true, force: true });
await must('tsc', ['-p', 'tsconfig.build.json']);

const lua = 'engines/redis/operations.lua';
if (existsSync(`src/${lua}`)) cpSync(`src/${lua}`, `dist/${lua}`);
