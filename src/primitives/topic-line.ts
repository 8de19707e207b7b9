import { limits } from '../base/limits.ts';
import { checkName, queueKey, type TopicNames } from '../base/names.ts';
import * as operations from '../operations/topic.ts';
import type { BatchOperation, Reply } from '../operations/tx.ts';
import { closedError, type Receiver, type Session } from '../session/session.ts';
import { QueueLine } from './queue-line.ts';
import { type MessageRecord, parseTakenIn, toPart } from './queue-record.ts';

/** Where a reader or a new group begins: behind all that is there, before it, or behind the message of a cursor. */
export type TopicFrom = 'latest' | 'earliest' | (string & {});

/** Who reads a topic alone, and waits for messages. */
export interface TopicReader {
  wake(): void;
  fail(error: Error): void;
}

/** One session's mail about a topic, for those who read it alone. */
export class TopicLine implements Receiver {
  readonly session: Session;
  readonly what: string;
  readonly keys: TopicNames;
  readonly #readers: Map<string, TopicReader> = new Map();
  #lastReader = 0;

  constructor(session: Session, name: string, keys: TopicNames) {
    this.session = session;
    this.what = `topic ${JSON.stringify(name)}`;
    this.keys = keys;
  }

  /** The name of a reader in the store: `session:number`. */
  add(reader: TopicReader): string {
    this.#lastReader += 1;
    const id = `${this.session.info.id}:${this.#lastReader}`;
    this.#readers.set(id, reader);
    return id;
  }

  remove(id: string): void {
    this.#readers.delete(id);
  }

  told(_verb: string, subject: string): void {
    this.#readers.get(subject)?.wake();
  }

  resync(): void {
    for (const reader of this.#readers.values()) reader.wake();
  }

  async close(): Promise<void> {
    for (const reader of this.#readers.values()) reader.fail(closedError(`reading ${this.what}`));
  }
}

/** The one line of a session for a topic. */
export function topicLineOf(session: Session, name: string): TopicLine {
  const keys = session.keys.topic(name);
  let line = session.receivers.get(keys[0]!) as TopicLine | undefined;
  if (line === undefined) session.receivers.set(keys[0]!, (line = new TopicLine(session, name, keys)));
  return line;
}

/** A session's part in a group of a topic: a queue that takes in the topic's messages whenever somebody claims from it. */
export class GroupLine extends QueueLine {
  readonly #topic: TopicNames;
  readonly #field: string;
  /** Where the group begins, if it is new. */
  #from = 'latest';

  constructor(session: Session, topic: string, group: string) {
    const part = toPart(group);
    super(session, group, session.keys.group(topic, part), groupIn(topic, group));
    this.#topic = session.keys.topic(topic);
    this.#field = fieldOf(part);
  }

  /** Makes the group where there is none: now, so that it has what is published from now on. */
  begin(from: string): void {
    this.#from = from;
    this.session.inBackground(this.#run(operations.begin, [from, this.#field])); // who claims makes it, if this fails
  }

  override claim(args: readonly string[], done: readonly string[]): Promise<readonly string[]> {
    return this.#run(operations.claim, [...args, this.#field, this.#from, ...done]);
  }

  override leave(args: readonly string[]): Promise<readonly number[]> {
    return this.#run(operations.leave, [...args, this.#field]);
  }

  override record(stored: string): MessageRecord {
    return parseTakenIn(stored);
  }

  /** How many messages of the topic it has not taken in; -1 where there is no such group. */
  async behind(): Promise<number> {
    const [, , behind] = await this.session.engine.runBatch(operations.sizes, this.#topic, [this.#field]);
    return behind!;
  }

  async drop(): Promise<boolean> {
    return (await this.#run(operations.drop, [this.#field])) === 1;
  }

  #run<R extends Reply>(operation: BatchOperation<R>, args: readonly string[]): Promise<R> {
    return this.session.engine.runBatch(operation, [...this.#topic, ...this.keys], args);
  }
}

/** The one line of a session for a group of a topic. */
export function groupLineOf(session: Session, topic: string, group: string): GroupLine {
  const key = session.keys.group(topic, toPart(group))[queueKey]!;
  let line = session.receivers.get(key) as GroupLine | undefined;
  if (line === undefined) session.receivers.set(key, (line = new GroupLine(session, topic, group)));
  return line;
}

/** For messages. */
export function groupIn(topic: string, group: string): string {
  return `group ${JSON.stringify(group)} of topic ${JSON.stringify(topic)}`;
}

/** Throws `INVALID_ARGUMENT`. */
export function checkGroup(group: unknown): asserts group is string {
  checkName('group', group);
  checkName('group', toPart(group), limits.topicNameBytesMax);
}

/** What the fields of groups begin with in the hash of a topic. */
export const groupField = 'group:';

function fieldOf(part: string): string {
  return groupField + part;
}

/** Mail about a topic that has no line here, or that a dead session did not get: true if it was that. */
export function handleTopicMail(session: Session, verb: string, key: string, dead: boolean): boolean {
  if (verb !== 'ready') return false;
  if (key.startsWith(session.keys.topic('')[0]!)) return true;
  const prefix = session.keys.group('', '')[queueKey]!.slice(0, -1);
  if (!key.startsWith(prefix)) return false;
  const end = key.indexOf(':', prefix.length);
  const part = key.slice(prefix.length, end);
  const topic = key.slice(end + 1);
  const keys = [...session.keys.topic(topic), ...session.keys.group(topic, part)];
  if (dead) session.inBackground(session.engine.runBatch(operations.pass, keys, [fieldOf(part)]));
  return true;
}
