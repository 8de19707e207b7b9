import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** False: what needs TLS is skipped. */
export const hasOpenssl: boolean = spawnSync('openssl', ['version']).status === 0;

/** A certificate for this machine, signed by itself. */
export interface Certificate {
  readonly file: string;
  readonly keyFile: string;
  readonly text: string;
}

/** Makes one, gone when the test is finished. */
export function makeCertificate(): Certificate {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-tls-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [keyFile, file] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const files = ['-keyout', keyFile, '-out', file];
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    ...files,
    ...names,
  ]);
  if (made.status !== 0) throw new Error(String(made.stderr));
  return { file, keyFile, text: readFileSync(file, 'utf8') };
}
