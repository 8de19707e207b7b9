import { createHash } from 'node:crypto';
import type { Tx } from '../operations/tx.ts';

/** The verbs of `Tx` for text and numbers, for the engines that run operations in the process. */
export const textVerbs: Pick<Tx, 'text' | 'integer' | 'part' | 'rest' | 'startsWith' | 'sha1hex'> = {
  text: (integer) => String(integer),
  integer(text) {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    return Number.isSafeInteger(value) && String(value) === text ? value : undefined;
  },
  part(text, index) {
    let from = 0;
    for (let i = 0; i < index; i++) {
      from = text.indexOf(':', from) + 1;
      if (from === 0) return '';
    }
    const end = text.indexOf(':', from);
    return end === -1 ? text.slice(from) : text.slice(from, end);
  },
  rest(text, index) {
    let from = 0;
    for (let i = 0; i < index; i++) {
      from = text.indexOf(':', from) + 1;
      if (from === 0) return '';
    }
    return text.slice(from);
  },
  startsWith: (text, prefix) => text.startsWith(prefix),
  sha1hex: (text) => createHash('sha1').update(text).digest('hex'),
};
