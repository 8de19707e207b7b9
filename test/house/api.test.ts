import { expect, test } from 'vitest';
import { apiReference } from '../../scripts/api/reference.ts';
import { textOf } from './sources.ts';

test('docs/api.md says what the sources say: `npm run api` writes it', () => {
  expect(textOf('docs/api.md')).toBe(apiReference('src/index.ts'));
});
