import { expect, test } from 'vitest';
import { register } from './models.ts';
import { parseRecording } from './recording.ts';
import { smallestFailing } from './smallest.ts';
import { timelineOf } from './timeline.ts';

/** Long, and wrong in one place: the second read of process 2 gives what was overwritten before it began. */
const recording = `
INFO  jepsen.util - 0	:invoke	:write	1
INFO  jepsen.util - 0	:ok	:write	1
INFO  jepsen.util - 1	:invoke	:read	nil
INFO  jepsen.util - 1	:ok	:read	1
INFO  jepsen.util - 1	:invoke	:cas	[3 4]
INFO  jepsen.util - 1	:fail	:cas	[3 4]
INFO  jepsen.util - 3	:invoke	:read	nil
INFO  jepsen.util - 3	:fail	:read	:timed-out
INFO  jepsen.util - 4	:invoke	:write	7
INFO  jepsen.util - 4	:info	:write	:timed-out
INFO  jepsen.util - 2	:invoke	:read	nil
INFO  jepsen.util - 2	:ok	:read	1
INFO  jepsen.util - 0	:invoke	:write	2
INFO  jepsen.util - 0	:ok	:write	2
INFO  jepsen.util - 2	:invoke	:read	nil
INFO  jepsen.util - 2	:ok	:read	1
INFO  jepsen.util - 1	:invoke	:write	5
INFO  jepsen.util - 1	:ok	:write	5
INFO  jepsen.util - 5	:invoke	:cas	[5 6]
`;

const found = smallestFailing(register, parseRecording(recording));

test('the smallest failing part of a history is what contradicts itself, whatever was before it', () => {
  const required = found?.calls.filter((call) => call.end !== Infinity).map((call) => register.text(call));
  expect(required).toEqual(['write 2', 'read: 1']);
  expect(found?.fromAnyState).toBe(true);
});

test('a history that can have happened has no failing part', () => {
  expect(smallestFailing(register, parseRecording(recording.replace(/0\s+:ok\s+:write\s+2\n/, '')))).toBeUndefined();
});

test('a timeline shows each call, and marks what does not fit', () => {
  const page = timelineOf('<a> & b', register, found!);
  expect(page).toContain('&#60;a&#62; &#38; b');
  expect(page).not.toContain('<a>');
  expect(page.match(/<g class="misfit">/g)).toHaveLength(1);
  expect(page).toMatch(/<g class="misfit"><title>2: read: 1 \(15 to 16\)/);
  expect(page).toMatch(/<g class="open"><title>4: write 7: \? \(9 to \?\)/);
});

test('a recording that is no recording is refused with its line', () => {
  expect(() => parseRecording('INFO  jepsen.util - 0	:invoke	:push	1')).toThrow(/line 1/);
  expect(() => parseRecording('INFO  jepsen.util - 0	:ok	:read	1')).toThrow(/process 0 did not begin/);
});
