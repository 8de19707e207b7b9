/**
 * Queues on Redis: lockstep beside BullMQ and bee-queue. One process pushes, two work, 50 messages at once, of 90 bytes
 * each; then what a message takes of the server's memory, and what it costs where very many wait.
 *
 * Workers live long: each peer has processes of its own, which work from the beginning to the end, and for some seconds
 * before they are measured. `--only race,memory,depth`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startCrew, type Worker } from './rig/crew.ts';
import { queues, type QueueName, type Worked } from './rig/queueing.ts';
import { startRedis } from './rig/redis.ts';
import { bench, type Stage } from './rig/report.ts';
import { atLeast, atMost } from './rig/rounds.ts';
import { spread, type Spread } from './rig/statistics.ts';
import { cell, digits } from './rig/table.ts';

const concurrency = 50;
const payloadBytes = 90;
/** For so long, in all, each peer handles messages before it is measured. */
const warmUpMs = 4_000;
/** Messages of a round: each takes about half a second. */
const messages: Record<QueueName, number> = { lockstep: 30_000, BullMQ: 4_000, 'bee-queue': 10_000 };

await bench('queues', 300_000, async (stage) => {
  const redis = await startRedis(stage.directory);
  stage.atEnd(() => redis.stop());
  stage.setUp['redis-server'] = `${redis.version}, a unix socket, nothing on disk`;
  const server = new Redis(redis.path);
  stage.atEnd(() => server.quit());
  const place: Place = { stage, server, redisPath: redis.path };
  if (stage.wants('race')) await race(place);
  if (stage.wants('memory')) await memory(place);
  if (stage.wants('depth')) await depth(place);
});

interface Place {
  readonly stage: Stage;
  readonly server: Redis;
  readonly redisPath: string;
}

/** Processes that end with the benchmark. */
function crewOf({ stage }: Place, size: number): Worker[] {
  const crew = startCrew(size);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));
  return crew;
}

/** A figure a round. */
interface Figures {
  readonly perSecond: number[];
  readonly clientUs: number[];
  readonly serverUs: number[];
}

async function race(place: Place): Promise<void> {
  const { stage } = place;
  const teams = await Promise.all(queues.map((name) => startTeam(place, name)));
  // All begin warm, and none has just been.
  for (let round = 0; round < 4; round++) for (const team of teams) await warmUp(team, warmUpMs / 4);
  for (let round = 0; round < 5; round++) for (const team of teams) await oneRound(place, team);
  await Promise.all(teams.flatMap(({ producer, consumers }) => [producer, ...consumers].map(closed)));
  const found = new Map(teams.map(({ name, figures }) => [name, figures]));
  const ours = found.get('lockstep')!;
  const times = (name: QueueName): Spread =>
    spread(ours.perSecond.map((value, i) => value / found.get(name)!.perSecond[i]!));
  stage.show({
    title: `1 process pushes, 2 work, ${concurrency} messages of ${payloadBytes} bytes at once`,
    head: ['', 'messages/s', 'client CPU µs a message', 'server CPU µs a message', 'lockstep is'],
    lines: [...found].map(([name, { perSecond, clientUs, serverUs }]) => [
      name,
      cell(spread(perSecond)),
      cell(spread(clientUs)),
      cell(spread(serverUs)),
      name === 'lockstep' ? '' : `${cell(times(name))} ×`,
    ]),
    findings: [
      atLeast('messages/s, times BullMQ', times('BullMQ').median, 8),
      atLeast('messages/s, times bee-queue', times('bee-queue').median, 3),
    ],
    figures: [...found],
  });
}

/** One who pushes and two who work, by the same queue. */
interface Team {
  readonly name: QueueName;
  readonly producer: Worker;
  readonly consumers: readonly Worker[];
  readonly figures: Figures;
  /** Messages that were pushed so far. */
  pushed: number;
}

async function startTeam(place: Place, name: QueueName): Promise<Team> {
  const crew = crewOf(place, 3);
  const [producer, ...consumers] = crew as [Worker, ...Worker[]];
  await Promise.all(crew.map((worker) => worker.ask('openQueue', name, { redisPath: place.redisPath, name: 'race' })));
  await Promise.all(consumers.map((consumer) => consumer.ask('startWorking', concurrency)));
  return { name, producer, consumers, figures: { perSecond: [], clientUs: [], serverUs: [] }, pushed: 0 };
}

function closed(worker: Worker): Promise<void> {
  return worker.ask('closeQueue');
}

async function warmUp(team: Team, ms: number): Promise<void> {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) await pushed(team, Math.ceil(messages[team.name] / 10));
}

/** Pushes so many, and waits until they are handled. */
async function pushed(team: Team, count: number): Promise<{ startMs: number; cpuUs: number; all: readonly Worked[] }> {
  const { startMs, cpuUs } = await team.producer.ask('pushAll', count, concurrency);
  team.pushed += count;
  return { startMs, cpuUs, all: await untilHandled(team.consumers, team.pushed) };
}

/** All messages are pushed and handled once, or it throws. */
async function oneRound({ server }: Place, team: Team): Promise<void> {
  const { name, figures } = team;
  const count = messages[name];
  await sleep(200);
  const before = total(await untilHandled(team.consumers, team.pushed));
  const serverBefore = await cpuUsOf(server);
  const { startMs, cpuUs, all } = await pushed(team, count);
  const serverUs = (await cpuUsOf(server)) - serverBefore;
  const after = total(all);
  const [handled, sum] = [after.handled - before.handled, after.sum - before.sum];
  if (handled !== count || sum !== (count * (count + 1)) / 2) {
    throw new Error(`${name} handled ${handled} of ${count} messages, which sum to ${sum}`);
  }
  figures.perSecond.push(count / ((Math.max(...all.map(({ lastMs }) => lastMs)) - startMs) / 1_000));
  figures.clientUs.push((cpuUs + after.cpuUs - before.cpuUs) / count);
  figures.serverUs.push(serverUs / count);
}

/** What the consumers have done when they have handled so many, or after a minute. */
async function untilHandled(consumers: readonly Worker[], count: number): Promise<readonly Worked[]> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    const all = await Promise.all(consumers.map((consumer) => consumer.ask('worked')));
    if (total(all).handled >= count || performance.now() > deadlineMs) return all;
    await sleep(10);
  }
}

function total(all: readonly Worked[]): Omit<Worked, 'lastMs'> {
  const of = (what: keyof Worked): number => all.reduce((sum, one) => sum + one[what], 0);
  return { handled: of('handled'), sum: of('sum'), cpuUs: of('cpuUs') };
}

/** What the server has more when 20,000 messages wait. */
async function memory(place: Place): Promise<void> {
  const { stage, server, redisPath } = place;
  const crew = crewOf(place, 1);
  const count = 20_000;
  const beyond = new Map<QueueName, number>();
  for (const name of queues) {
    await crew[0]!.ask('openQueue', name, { redisPath, name: 'memory' });
    await crew[0]!.ask('pushAll', 100, concurrency); // scripts are loaded, hashes are hashes
    const before = await infoOf(server, 'memory', 'used_memory_dataset');
    await crew[0]!.ask('pushAll', count, concurrency);
    beyond.set(name, ((await infoOf(server, 'memory', 'used_memory_dataset')) - before) / count - payloadBytes);
    await crew[0]!.ask('closeQueue');
    await server.flushall();
  }
  stage.show({
    title: `${count} messages of ${payloadBytes} bytes wait`,
    head: ['', 'bytes of the server beyond the payload, a message'],
    lines: [...beyond].map(([name, bytes]) => [name, digits(bytes)]),
    findings: [atMost('bytes a message beyond its payload', beyond.get('lockstep')!, 250)],
    figures: [...beyond],
  });
}

/** The same messages where few and where very many wait before them. */
async function depth(place: Place): Promise<void> {
  const { stage, server, redisPath } = place;
  const crew = crewOf(place, 2);
  const found = new Map<number, Figures>();
  for (const waiting of [1_000, 1_000_000]) {
    const figures: Figures = { perSecond: [], clientUs: [], serverUs: [] };
    found.set(waiting, figures);
    await crew[0]!.ask('openQueue', 'lockstep', { redisPath, name: 'depth' });
    await crew[0]!.ask('fill', waiting);
    await crew[0]!.ask('closeQueue');
    for (let round = 0; round < 3; round++) await throughput(place, crew, 20_000, figures);
    await server.flushall();
  }
  const [few, many] = [found.get(1_000)!, found.get(1_000_000)!];
  const ratio = spread(many.serverUs).median / spread(few.serverUs).median;
  stage.show({
    title: 'lockstep where so many messages wait',
    head: ['waiting', 'messages/s', 'client CPU µs a message', 'server CPU µs a message'],
    lines: [...found].map(([waiting, { perSecond, clientUs, serverUs }]) => [
      digits(waiting),
      cell(spread(perSecond)),
      cell(spread(clientUs)),
      cell(spread(serverUs)),
    ]),
    findings: [atMost('server CPU a message, 1,000,000 waiting, times that with 1,000', ratio, 1.5)],
    figures: [...found],
  });
}

/** Pushes so many, while so many of those that wait are handled. */
async function throughput(
  { server, redisPath }: Place,
  crew: readonly Worker[],
  count: number,
  figures: Figures,
): Promise<void> {
  const [producer, consumer] = crew as [Worker, Worker];
  for (const worker of [producer, consumer]) await worker.ask('openQueue', 'lockstep', { redisPath, name: 'depth' });
  const before = await cpuUsOf(server);
  const startMs = performance.now();
  const pushing = producer.ask('pushAll', count, concurrency);
  await consumer.ask('startWorking', concurrency);
  const sent = await pushing;
  const worked = await consumer.ask('worked');
  const seconds = (performance.now() - startMs) / 1_000;
  const serverUs = (await cpuUsOf(server)) - before;
  // A message is pushed by one and handled by the other: half of each.
  const each = (count + worked.handled) / 2;
  figures.perSecond.push(each / seconds);
  figures.clientUs.push((sent.cpuUs + worked.cpuUs) / each);
  figures.serverUs.push(serverUs / each);
  for (const worker of [producer, consumer]) await worker.ask('closeQueue');
}

async function cpuUsOf(server: Redis): Promise<number> {
  return ((await infoOf(server, 'cpu', 'used_cpu_sys')) + (await infoOf(server, 'cpu', 'used_cpu_user'))) * 1e6;
}

async function infoOf(server: Redis, section: string, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(.*)$`, 'm').exec(await server.info(section))![1]);
}
