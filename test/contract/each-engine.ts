import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, onTestFinished } from 'vitest';
import { embeddedEngine } from '../../src/engines/embedded/embedded.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';

/** A new, empty store, gone when the test is finished. */
export interface Store {
  /** One more way to the same store, as another process would have it. */
  engine(): Promise<Engine>;
}

/** Runs a suite on every engine: what an engine promises stands in such suites and nowhere else. */
export function eachEngine(suite: (name: string, openStore: () => Promise<Store>) => void): void {
  describe.each(Object.entries(stores))('%s', (name, openStore) => {
    suite(name, openStore);
  });
}

const stores: Record<string, () => Promise<Store>> = {
  async memory() {
    const engine = memoryEngine();
    onTestFinished(() => engine.close());
    return { engine: () => Promise.resolve(engine) };
  },

  async embedded() {
    const directory = await mkdtemp(join(tmpdir(), 'lockstep-test-'));
    const engines: Engine[] = [];
    onTestFinished(async () => {
      await Promise.all(engines.map((engine) => engine.close()));
      await rm(directory, { recursive: true, force: true });
    });
    return {
      async engine() {
        const engine = await embeddedEngine({ directory });
        engines.push(engine);
        return engine;
      },
    };
  },
};
