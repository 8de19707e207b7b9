import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface TextFile {
  readonly path: string;
  readonly bytes: number;
}

/** Source maps are text too, but nobody wrote it. */
const isText = /\.(?:[cm]?[jt]sx?|json|md|txt|html|css|ya?ml)$/i;

/** The text files below a directory, `limit` at most. */
export async function textFiles(directory: string, limit: number): Promise<TextFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && isText.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name));
  return Promise.all(paths.slice(0, limit).map(async (path) => ({ path, bytes: (await stat(path)).size })));
}

/** How much one worker takes at a time: enough, for what a transaction costs to be little beside the counting. */
const portionBytes = 500_000;
const portionFiles = 100;

/** The files, some at a time. */
export function portions(files: readonly TextFile[]): { files: string[] }[] {
  const all: { files: string[] }[] = [];
  let left = 0;
  for (const { path, bytes } of files) {
    const last = all.at(-1);
    if (last === undefined || bytes > left || last.files.length === portionFiles) {
      all.push({ files: [path] });
      left = portionBytes;
    } else last.files.push(path);
    left -= bytes;
  }
  return all;
}

/** How often each word is in these files. */
export async function countWords(paths: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const text = (await readFile(path, 'utf8')).toLowerCase();
    for (const word of text.match(/[a-z]{2,32}/g) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}
