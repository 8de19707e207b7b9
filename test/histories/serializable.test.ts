import { expect, test } from 'vitest';
import { checkSerializable, type Step, type Transaction } from './serializable.ts';

/** `T1 ok: a+1 b=1,2`: T1 committed; it appended 1 to list a, and read list b as [1 2]. */
function history(...lines: string[]): Transaction[] {
  return lines.map((line) => {
    const [head = '', ...steps] = line.split(' ');
    const [id = '', outcome = 'committed'] = head.split('/');
    return { id, outcome: outcome as Transaction['outcome'], steps: steps.map(stepOf) };
  });
}

function stepOf(text: string): Step {
  const [list = '', element = ''] = text.split('+');
  if (element !== '') return { append: list, element: Number(element) };
  const [key = '', values = ''] = text.split('=');
  return { read: key, list: values === '' ? [] : values.split(',').map(Number) };
}

function kinds(...lines: string[]): string[] {
  return checkSerializable(history(...lines)).map(({ kind }) => kind);
}

test('transactions that ran one after the other are serializable', () => {
  expect(kinds('T1 a= a+1', 'T2 a=1 a+2 a=1,2', 'T3 a=1,2 b=', 'T4 b+1', 'T5/aborted a+3', 'T6/unknown a+4')).toEqual(
    [],
  );
});

test('a transaction whose commit was not acknowledged counts once it is seen', () => {
  expect(kinds('T1/unknown a+1 b+1', 'T2 a=1 b=', 'T3 b=1')).toEqual(['G-single']);
  expect(kinds('T1/unknown a+1 b+1', 'T2 a= b=')).toEqual([]);
});

test.each<[string, string, string[]]>([
  ['writes that overtake each other', 'G0', ['T1 a+1 b+1', 'T2 a+2 b+2', 'T3 a=1,2', 'T4 b=2,1']],
  ['a read of what was aborted', 'G1a', ['T1/aborted a+1', 'T2 a=1']],
  ['a read of what nobody wrote', 'G1a', ['T2 a=9']],
  ['a read in the middle of a transaction', 'G1b', ['T1 a+1 a+2', 'T2 a=1', 'T3 a=1,2']],
  ['two that read each other', 'G1c', ['T1 a+1 b=1', 'T2 b+1 a=1']],
  ['a lost update', 'G-single', ['T1 a= a+1', 'T2 a= a+2', 'T3 a=1,2']],
  ['half of another transaction', 'G-single', ['T1 a+1 b+1', 'T2 a=1 b=', 'T3 b=1']],
  ['write skew', 'G2', ['T1 a= b= a+1', 'T2 a= b= b+1', 'T3 a=1', 'T4 b=1']],
  ['two reads that contradict each other', 'order', ['T1 a+1', 'T2 a+2', 'T3 a=1', 'T4 a=2']],
  ['a transaction that does not see its own write', 'internal', ['T1 a+1 a=', 'T2 a=1']],
  ['a read that does not repeat', 'internal', ['T1 a= a=1', 'T2 a+1']],
])('%s is found', (_, kind, lines) => {
  expect(kinds(...lines)).toContain(kind);
});

test('an anomaly is not taken for a stronger one', () => {
  expect(kinds('T1 a= b= a+1', 'T2 a= b= b+1', 'T3 a=1', 'T4 b=1')).toEqual(['G2']);
  expect(kinds('T1 a= a+1', 'T2 a= a+2', 'T3 a=1,2')).toEqual(['G-single']);
});

test('a cycle is told step by step', () => {
  const [anomaly] = checkSerializable(history('T1 a= b= a+1', 'T2 a= b= b+1', 'T3 a=1', 'T4 b=1'));
  expect(anomaly?.text).toBe(
    'T2 appended 1 to list b, which had not been there for T1\nT1 appended 1 to list a, which had not been there for T2',
  );
});
