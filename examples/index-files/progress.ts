/** Where a run is. */
export interface Progress {
  /** 0 to 1. */
  readonly done: number;
  readonly kills: number;
  readonly top: readonly (readonly [word: string, times: number])[];
}

const live = process.stdout.isTTY;

/** Draws a bar, over the one before it in a terminal; elsewhere a line now and then. */
export class ProgressBar {
  readonly #silent: boolean;
  #shown = 0;

  constructor(silent: boolean) {
    this.#silent = silent;
  }

  show({ done, kills, top }: Progress): void {
    if (this.#silent) return;
    const percent = Math.floor(done * 100);
    if (!live && percent < this.#shown + 20) return;
    this.#shown = percent;
    const full = Math.round(done * 20);
    const bar = '█'.repeat(full) + '░'.repeat(20 - full);
    const words = top.map(([word, times]) => `${word} ${times.toLocaleString('en')}`).join(' · ');
    const line = `${bar} ${String(percent).padStart(3)} %  ${kills} killed  ${words}`;
    process.stdout.write(live ? `\r\x1b[2K${line.slice(0, process.stdout.columns - 1)}` : `${line}\n`);
  }

  end(): void {
    if (live && !this.#silent) process.stdout.write('\n');
  }
}
