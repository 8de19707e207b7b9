import { expect, test } from 'vitest';
import { growthOf, isFlat } from './flat.ts';

const tolerance = { share: 0.1, slack: 0 };
const every = (value: (i: number) => number) =>
  Array.from({ length: 60 }, (_, i) => ({ at: i * 1_000, value: value(i) }));

test('what goes up and down about a value is flat, spikes and a warm-up included', () => {
  const points = every((i) => (i < 15 ? 20 * i : 300) + (i % 3) + (i % 20 === 0 ? 5_000 : 0));
  expect(isFlat(points, tolerance)).toBe(true);
});

test('what grows by a fifth is not flat, however much it goes up and down', () => {
  const points = every((i) => 300 + i + 10 * Math.sin(i));
  expect(growthOf(points)).toBeGreaterThan(35);
  expect(isFlat(points, tolerance)).toBe(false);
});

test('what gets less is flat', () => {
  expect(
    isFlat(
      every((i) => 300 - i),
      tolerance,
    ),
  ).toBe(true);
});
