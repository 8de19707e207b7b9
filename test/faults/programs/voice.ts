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

/** Waits for a word of the test, and stays alive for it. */
export async function hear(what: string): Promise<Word> {
  const port = isMainThread ? process.channel! : parentPort!;
  port.ref();
  for (;;) {
    const [word] = (await (isMainThread ? once(process, 'message') : once(parentPort!, 'message'))) as [Word];
    if (word.what !== what) continue;
    port.unref();
    return word;
  }
}

if (isMainThread && process.channel !== undefined) {
  process.on('disconnect', () => process.exit(3)); // the test is gone
  process.channel.unref();
}
