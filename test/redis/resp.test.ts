import { expect, test } from 'vitest';
import { ReplyError } from '../../src/engines/redis/client.ts';
import { commandText, ReplyReader } from '../../src/engines/redis/resp.ts';

const long = 'ä😀x'.repeat(10_000);
const stream = Buffer.from(
  [
    '+OK\r\n',
    ':42\r\n:-7\r\n:0\r\n',
    '$6\r\nhällo\r\n',
    '$0\r\n\r\n$-1\r\n',
    '$4\r\n\r\n\r\n\r\n',
    '*0\r\n*-1\r\n',
    '*3\r\n:1\r\n*2\r\n$1\r\na\r\n*1\r\n*0\r\n$-1\r\n',
    '-OOM command not allowed\r\n',
    `*2\r\n$${Buffer.byteLength(long)}\r\n${long}\r\n:1\r\n`,
    '+end\r\n',
  ].join(''),
);
const replies = [
  'OK',
  42,
  -7,
  0,
  'hällo',
  '',
  null,
  '\r\n\r\n',
  [],
  null,
  [1, ['a', [[]]], null],
  new ReplyError(new Error('OOM command not allowed')),
  [long, 1],
  'end',
];

function readIn(pieces: Iterable<Buffer>): { read: unknown[]; broken: string[] } {
  const read: unknown[] = [];
  const broken: string[] = [];
  const reader = new ReplyReader(
    (reply) => read.push(reply),
    (reason) => broken.push(reason.message),
  );
  for (const piece of pieces) {
    reader.read(piece);
    piece.fill(0); // its owner uses it again
  }
  return { read, broken };
}

function* cut(size: number): Iterable<Buffer> {
  for (let at = 0; at < stream.length; at += size) yield Buffer.from(stream.subarray(at, at + size));
}

test.each([1, 2, 3, 7, 64, 1_000, 65_536, stream.length])('replies are read from pieces of %i bytes', (size) => {
  expect(readIn(cut(size))).toEqual({ read: replies, broken: [] });
});

test('what is no reply of Redis is told as such, once, and nothing is made of it', () => {
  const { read, broken } = readIn([Buffer.from('+OK\r\nHTTP/1.1 400 Bad Request\r\n\r\n')]);
  expect(read).toEqual(['OK']);
  expect(broken).toEqual(['it does not speak the protocol of Redis']);
});

test('words are sent by their length in bytes', () => {
  expect(commandText(['SET', 'kä', ''])).toBe('*3\r\n$3\r\nSET\r\n$3\r\nkä\r\n$0\r\n\r\n');
});
