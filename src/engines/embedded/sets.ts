/** The verbs of sets as prepared statements. */
import type { Tx } from '../../operations/tx.ts';
import { type Statement, texts } from './driver.ts';
import type { Key } from './keys.ts';
import { type Members, rowsOfNumber } from './slots.ts';

type SetVerb = 'sadd' | 'srem' | 'sismember' | 'scard' | 'spop' | 'sunion' | 'sinter' | 'sdiff';
type Operator = 'UNION' | 'INTERSECT' | 'EXCEPT';
type Found = Key | undefined;

/** What the verbs need of the store. */
export interface SetParts {
  /** A live set, if there is one. */
  read(key: string): Found;
  /** As `read`: a new one where there is none. */
  open(key: string): Key;
  resize(key: Key, by: 1 | -1): void;
  members: Members;
}

const membersOfNumber = `SELECT member FROM sets WHERE ${rowsOfNumber}`;

/** `sql` prepares a statement. */
export function setVerbs(sql: (text: string) => Statement, parts: SetParts): Pick<Tx, SetVerb> {
  const { read, open, resize, members } = parts;

  /** Sets of expired keys may still have rows: those keys take no part. */
  function combine(keys: readonly string[], operator: Operator): string[] {
    const sets = keys.map(read);
    if (sets.some((one) => one?.few !== undefined)) return combineFew(sets, operator);
    const given = sets.flatMap((one) => {
      const number = one?.number ?? null; // null has no members
      return [number, number];
    });
    return texts(sql(sets.map(() => membersOfNumber).join(` ${operator} `)).all(...given));
  }

  /** As `combine`, where SQLite does not see the members of all. */
  function combineFew(sets: readonly Found[], operator: Operator): string[] {
    if (operator === 'UNION') return [...new Set(sets.flatMap(membersIn))];
    const ordered = operator === 'EXCEPT' ? sets : sets.toSorted((a, b) => (a?.size ?? 0) - (b?.size ?? 0));
    const [first, ...others] = ordered;
    const has = (one: Found, member: string): boolean => one !== undefined && members.has(one, member);
    return membersIn(first).filter((member) =>
      operator === 'EXCEPT' ? !others.some((one) => has(one, member)) : others.every((one) => has(one, member)),
    );
  }

  function membersIn(found: Found): string[] {
    if (found === undefined) return [];
    if (found.few !== undefined) return [...found.few] as string[];
    return texts(sql(membersOfNumber).all(found.number, found.number));
  }

  function remove(found: Found, member: string): number {
    if (found === undefined || !members.remove(found, member)) return 0;
    resize(found, -1);
    return 1;
  }

  return {
    sadd(key, member) {
      const found = open(key);
      if (!members.put(found, member, true)) return 0;
      resize(found, 1);
      return 1;
    },
    srem: (key, member) => remove(read(key), member),
    sismember(key, member) {
      const found = read(key);
      return found !== undefined && members.has(found, member);
    },
    scard: (key) => read(key)?.size ?? 0,
    spop(key) {
      const found = read(key);
      if (found === undefined) return undefined;
      const any = found.few ?? sql(`${membersOfNumber} LIMIT 1`).get(found.number, found.number)!;
      const member = any[0] as string;
      remove(found, member);
      return member;
    },
    sunion: (keys) => combine(keys, 'UNION'),
    sinter: (keys) => combine(keys, 'INTERSECT'),
    sdiff: (keys) => combine(keys, 'EXCEPT'),
  };
}
