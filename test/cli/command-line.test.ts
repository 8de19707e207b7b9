import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lockstep, temporaryDirectory } from './cli.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

test.each([
  { args: [], says: /^lockstep – / },
  { args: ['--help'], says: /lockstep exec NAME .*\n.*lockstep ps/ },
  { args: ['exec', '--help'], says: /--timeout[^]*--ttl[^]*--grace[^]*--at[^]*--space[^]*--label[^]*70[^]*75/ },
  { args: ['ps', '-h'], says: /--at[^]*--space[^]*--json/ },
  { args: ['--version'], says: new RegExp(`^${version.replaceAll('.', '\\.')}\n$`) },
])('lockstep $args answers', async ({ args, says }) => {
  const run = lockstep(temporaryDirectory(), ...args);
  expect(await run.exit).toBe(0);
  expect(run.stdout()).toMatch(says);
});

test.each([
  { args: ['hold'], says: 'there is no command "hold" (see lockstep --help)' },
  { args: ['constructor'], says: 'there is no command "constructor" (see lockstep --help)' },
  { args: ['exec', '--', 'true'], says: 'the NAME of the lock is missing (see lockstep exec --help)' },
  { args: ['exec', 'a'], says: 'the command is missing: it comes after -- (see lockstep exec --help)' },
  { args: ['exec', 'a', 'true', '--'], says: '"true" is too much: the command comes after --' },
  { args: ['exec', 'a', '--frob', '--', 'true'], says: "Unknown option '--frob' (see lockstep exec --help)" },
  { args: ['exec', 'a', '--timeout', '5', '--', 'true'], says: '--timeout is "5": give a unit, such as 500ms, 5s, 2m' },
  { args: ['exec', 'a', '--ttl', '1ms', '--', 'true'], says: 'ttl is 1: it must be a duration between 50 and' },
  { args: ['exec', 'a', '--space', '', '--', 'true'], says: 'space' },
  { args: ['ps', 'job'], says: '"job" is too much (see lockstep ps --help)' },
])('lockstep $args is refused, in one line that says why', async ({ args, says }) => {
  const directory = temporaryDirectory();
  const run = lockstep(directory, ...args);
  expect(await run.exit).toBe(64);
  expect(run.stderr()).toMatch(/^lockstep: [^\n]+\n$/);
  expect(run.stderr()).toContain(says);
});
