/** The slots that the keys of a Redis Cluster are divided into. */
export const slotCount = 16_384;

/** The slot of a key: CRC-16 (XMODEM) of its hash tag, or of all of it, as the specification of Redis Cluster says. */
export function slotOf(key: string): number {
  const tag = tagOf(key);
  if (tag !== lastTag) [lastTag, lastSlot] = [tag, crc16(Buffer.from(tag)) % slotCount];
  return lastSlot;
}

/** Most keys are of the space that was asked for last. */
let lastTag = '';
let lastSlot = 0;

function tagOf(key: string): string {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** A short hash tag of a slot: what is to be in one slot whatever it is called has this tag. */
export function tagIn(slot: number): string {
  for (; tags[slot] === undefined; tried++)
    tags[crc16(Buffer.from(tried.toString(36))) % slotCount] ??= tried.toString(36);
  return tags[slot];
}

/** Those found so far, among the numbers below `tried`: each slot has one among the first 200,000. */
const tags: (string | undefined)[] = [];
let tried = 0;

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ crcTable[(crc >> 8) ^ byte]!;
  return crc;
}

const crcTable: readonly number[] = Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});
