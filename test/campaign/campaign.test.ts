import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sizeOf } from '../faults/chance.ts';
import { hasRedisServer } from '../redis/server.ts';
import { campaign } from './campaign.ts';
import type { EngineName } from './places.ts';

const seconds = sizeOf('CAMPAIGN_SECONDS', 5);

describe.each<EngineName>(['embedded', 'redis'])('while all goes wrong, on %s,', (engine) => {
  test.skipIf(engine === 'redis' && !hasRedisServer)(
    'what clients saw is what was promised, everybody gets on, and nothing is left',
    { timeout: 240_000 },
    async () => {
      const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
      const directory = join(import.meta.dirname, '../../.cache/campaign', `${engine}-${seed}`);
      const { problems, summary } = await campaign({ engine, seconds, seed, directory });
      console.log(`${engine} (SEED=${seed}): ${summary}`);
      expect(
        problems.map(({ promise, text }) => `${promise}: ${text}`),
        `what was found, SEED=${seed}; see ${directory}`,
      ).toEqual([]);
    },
  );
});
