import type { Lockstep, SharedMap } from '../../../src/index.ts';
import type { Scenario, Way } from '../scenario.ts';

/** Each task buys the first seat that is free, and then the next one. A seat must be sold once. */
export const seats: Scenario = {
  name: 'seats',
  unsafe: { how: 'has, then set', ...sale('seats sold unsafely', buyUnsafely) },
  safe: { how: 'lock.run', ...sale('seats', buy) },
};

type Buy = (shared: Lockstep, sold: SharedMap<string>, seat: string, buyer: string) => Promise<boolean>;

async function buyUnsafely(_: Lockstep, sold: SharedMap<string>, seat: string, buyer: string): Promise<boolean> {
  if (await sold.has(seat)) return false;
  await sold.set(seat, buyer); // somebody else has seen it free as well
  return true;
}

async function buy(shared: Lockstep, sold: SharedMap<string>, seat: string, buyer: string): Promise<boolean> {
  if (await sold.has(seat)) return false; // once sold it stays sold: no lock is needed to see that
  return shared.lock(seat).run(async (lease) => {
    if (await sold.has(seat)) return false;
    await sold.set(seat, buyer, { guard: lease });
    return true;
  });
}

function sale(map: string, buySeat: Buy): Omit<Way, 'how'> {
  return {
    async prepare(shared) {
      const sold = shared.map<string>(map);
      for await (const seat of sold.keys()) await sold.delete(seat);
    },
    task(shared, name) {
      const sold = shared.map<string>(map);
      let number = 0;
      return async () => {
        number += 1;
        return (await buySeat(shared, sold, `seat:${number}`, name)) ? 1 : 0;
      };
    },
    audit: async (shared, updates) => ({ lostUpdates: updates - (await shared.map(map).size()) }),
  };
}
