import { createRequire } from 'node:module';
import type { Redis } from 'ioredis';

interface Redlock5Lock {
  release(): Promise<unknown>;
}

type Redlock5Class = new (
  clients: Redis[],
  options: object,
) => {
  acquire(names: string[], ttl: number): Promise<Redlock5Lock>;
  on(event: 'error', listener: () => void): void;
};

const require = createRequire(import.meta.url);

/** redlock 5, whose types do not resolve. */
export const Redlock5: Redlock5Class = (require('redlock') as { default: Redlock5Class }).default;
