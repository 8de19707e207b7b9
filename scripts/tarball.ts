/** What `npm publish` would publish. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { must } from './run.ts';

/** Builds and packs the package: the path of the tarball. */
export async function packTarball(): Promise<string> {
  const folder = resolve('.cache/package');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await must('npm', ['pack', '--pack-destination', folder]);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error(`npm pack left no tarball in ${folder}`);
  return resolve(folder, tarball);
}
