import { isDeepStrictEqual } from 'node:util';
import { isLockstepError } from '../../src/base/errors.ts';
import type { Reply } from '../../src/operations/tx.ts';
import { type Command, Meaning, type Step } from './programs.ts';
import type { HandClock, Subject } from './subjects.ts';
import { call } from './verbs/verbs.ts';

const deadlineMs = 2_000;
let programs = 0;

/**
 * Runs a program on the model and on the others, with one clock. Throws at the first difference: in a reply, in the
 * wakes that a session got, or in what is left in the end.
 */
export async function differ(
  program: readonly Command[],
  clock: HandClock,
  model: Subject,
  others: Subject[],
): Promise<void> {
  const meaning = new Meaning(`p${++programs}`);
  const all = [model, ...others].map((subject) => new Run(subject));
  const [first, ...rest] = all as [Run, ...Run[]];
  const start: Command[] = [0, 1, 2].map((place) => ({ on: 'world', do: 'connect', place }));
  try {
    for (const [i, command] of [...start, ...program].entries()) {
      const at = `command ${i - start.length}, ${JSON.stringify(command)}`;
      const step = meaning.stepOf(command);
      if (step === undefined) await arrange(command, clock, meaning, all);
      else await compare(at, step, first, rest);
      await meaning.learn((owner) => model.runBatch(call, [owner], ['get']), clock.nowUs);
      if (command.on === 'queue' || command.on === 'topic') {
        await meaning.learnDeliveries((leases) => model.runBatch(call, [leases], ['zrange', '0', '-1']));
      }
    }
    await compare('the end', meaning.stateStep(), first, rest);
    for (const run of rest) await run.heard(first, 'the end');
  } finally {
    for (const run of all) await run.close();
  }
}

/** What is not an operation: time passes, sessions come and go. */
async function arrange(command: Command, clock: HandClock, meaning: Meaning, all: readonly Run[]): Promise<void> {
  if (command.on !== 'world') return;
  if (command.do === 'advance') advance(clock, command.us);
  if (command.do === 'connect') for (const run of all) await run.connect(meaning.session(command.place));
  if (command.do === 'disconnect') {
    for (const run of all) await run.disconnect(meaning.session(command.place));
    meaning.giveUp(command.place);
  }
}

/**
 * The clock goes back only within its millisecond: whether a key that was over is there again depends, on every
 * engine, on whether somebody looked at it in between.
 */
function advance(clock: HandClock, us: number): void {
  clock.nowUs = Math.max(clock.nowUs + us, Math.floor(clock.nowUs / 1_000) * 1_000);
}

async function compare(at: string, step: Step, model: Run, others: readonly Run[]): Promise<void> {
  const wanted = await model.reply(step);
  for (const run of others) {
    same(`${at}: ${run.name} replies`, await run.reply(step), wanted);
    await run.heard(model, at);
  }
}

function same(what: string, found: unknown, wanted: unknown): void {
  if (isDeepStrictEqual(found, wanted)) return;
  throw new Error(`${what} ${JSON.stringify(found)}, the model ${JSON.stringify(wanted)}`);
}

/** One program on one store. */
class Run {
  readonly #subject: Subject;
  readonly #open = new Set<string>();
  /** Of each session, in order. */
  readonly #wakes: Record<string, string[]> = {};

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  get name(): string {
    return this.#subject.name;
  }

  async reply(step: Step): Promise<unknown> {
    try {
      const reply = await step.on(this.#subject);
      if (step.name === 'stats.read') return pairsInOrder(reply);
      return inNoOrder.has(step.name) ? inOrder(reply) : reply;
    } catch (error) {
      if (isLockstepError(error)) return { code: error.code };
      throw new Error(`${this.name} failed: ${String(error)}`, { cause: error });
    }
  }

  async connect(session: string): Promise<void> {
    if (this.#open.has(session)) return;
    this.#open.add(session);
    await this.#subject.connect(session, (text) => (this.#wakes[session] ??= []).push(text));
  }

  async disconnect(session: string): Promise<void> {
    if (this.#open.delete(session)) await this.#subject.disconnect(session);
  }

  /** Waits until this store's sessions heard as much as the model's, and compares. */
  async heard(model: Run, at: string): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (this.#count() < model.#count() && performance.now() < deadline) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    same(`${at}: on ${this.name} the sessions heard`, this.#wakes, model.#wakes);
  }

  #count(): number {
    return Object.values(this.#wakes).reduce((sum, wakes) => sum + wakes.length, 0);
  }

  async close(): Promise<void> {
    for (const session of this.#open) await this.disconnect(session);
  }
}

/** What comes behind the first word of these replies comes in no order. */
const inNoOrder: ReadonlySet<string> = new Set(['session.holderWaits', 'set.combine']);

function inOrder(reply: Reply): Reply {
  const [owner, ...records] = reply as string[];
  return [owner!, ...records.sort()];
}

/** The fields of a window come in no order. */
function pairsInOrder(reply: Reply): Reply {
  const [length, ...texts] = reply as [number, ...string[]];
  const pairs = texts.flatMap((field, i) => (i % 2 === 0 ? [`${field} ${texts[i + 1]}`] : []));
  return [length, ...pairs.sort()];
}
