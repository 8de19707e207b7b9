/**
 * `npm run api`: writes docs/api.md, all methods and options with what the sources say about them.
 */
import { writeFileSync } from 'node:fs';
import { apiReference } from './api/reference.ts';

writeFileSync('docs/api.md', apiReference('src/index.ts'));
