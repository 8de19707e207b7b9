/** Where the program called in: taken cheaply, put into words only when it is needed. */
export interface CallSite {
  describe(): string;
}

const here = new URL('..', import.meta.url).href;

/** The caller of the library's public function that calls this. */
export function callSite(): CallSite {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 8;
  const trace = new Error();
  Error.stackTraceLimit = limit;
  return { describe: () => firstFrameOutside(trace.stack ?? '') };
}

function firstFrameOutside(stack: string): string {
  const frames = stack.split('\n').slice(1);
  return (frames.find((frame) => !frame.includes(here)) ?? '').trim();
}
