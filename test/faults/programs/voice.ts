import { once } from 'node:events';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

/** What a program and its test say to each other. */
export interface Word {
  readonly what: string;
  readonly [detail: string]: unknown;
}

/** What the test wants of this program. */
export function task<T>(): T {
  return (isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData) as T;
}

export function say(what: string, details: object = {}): void {
  const word: Word = { ...details, what };
  if (isMainThread) process.send?.(word);
  else parentPort!.postMessage(word);
}

/** Calls `listener` with each word of the test; does not keep the process alive. */
export function onWord(listener: (word: Word) => void): void {
  if (isMainThread) process.on('message', listener);
  else parentPort!.on('message', listener).unref();
}

/** Waits for a word of the test, and stays alive for it. Takes also one that came before. */
export async function hear(what: string): Promise<Word> {
  const port = isMainThread ? process.channel! : parentPort!;
  port.ref();
  for (;;) {
    const place = untaken.findIndex((word) => word.what === what);
    if (place !== -1) {
      port.unref();
      return untaken.splice(place, 1)[0]!;
    }
    await (isMainThread ? once(process, 'message') : once(parentPort!, 'message'));
  }
}

/** Several may come in one turn of the event loop: whoever waits would see the first alone. */
const untaken: Word[] = [];
onWord((word) => void untaken.push(word));

if (isMainThread && process.channel !== undefined) {
  process.on('disconnect', () => process.exit(3)); // the test is gone
  process.channel.unref();
}
