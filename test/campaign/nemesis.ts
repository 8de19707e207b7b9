import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../faults/programs/now.ts';
import { chanceOf, type Dice, diceOf } from '../simulation/chance.ts';
import type { Crew } from './crew.ts';
import type { Place } from './places.ts';

/** Draws what goes wrong next, with clients and with the store at once, until it is time. All is mended when it resolves. */
export async function nemesis(
  crew: Crew,
  place: Place,
  { seed, seconds, tell }: { seed: number; seconds: number; tell: (what: string) => void },
): Promise<void> {
  const endMs = nowMs() + seconds * 1_000;
  const again = async (name: string, next: (dice: Dice) => Promise<void>): Promise<void> => {
    const dice = diceOf(chanceOf(seed), name);
    for (;;) {
      await sleep(dice.between(200, 1_500));
      if (nowMs() > endMs) return;
      await next(dice);
    }
  };
  await Promise.all([
    again('clients', (dice) => harm(crew, dice, tell)),
    again('store', async (dice) => {
      if (place.faults.length === 0) return;
      const fault = dice.pick(place.faults);
      tell(`${fault.name} …`);
      await fault.run(dice);
      tell(`… end of ${fault.name}`);
    }),
  ]);
}

async function harm(crew: Crew, dice: Dice, tell: (what: string) => void): Promise<void> {
  const client = dice.pick([...crew.processes, ...crew.threads]);
  const drawn = dice.between(0, 1);
  if (drawn < 0.5) {
    tell(client.isThread ? `termination of thread ${client.number}` : `kill -9 of client ${client.number}`);
    await (client.isThread ? crew.terminate(client) : crew.kill(client));
    return;
  }
  const ms = dice.pick([dice.between(10, 300), dice.between(300, 4_000)]);
  tell(`SIGSTOP of client ${client.number} for ${Math.round(ms)} ms`);
  await crew.stop(client, ms);
}
