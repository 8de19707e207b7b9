import { fileURLToPath } from 'node:url';

/** Where the program called in: taken cheaply, put into words only when it is needed. */
export interface CallSite {
  describe(): string;
}

const here = fileURLToPath(new URL('..', import.meta.url));

/** The caller of the library's public function that calls this. */
export function callSite(): CallSite {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const trace = new Error();
  Error.stackTraceLimit = limit;
  return { describe: () => firstFrameOutside(trace.stack ?? '') };
}

function firstFrameOutside(stack: string): string {
  const frames = stack.split('\n').slice(1);
  const outside = (frame: string): boolean => !foreign.some((mark) => frame.includes(mark));
  return (frames.find(outside) ?? '').trim();
}

/** Frames that are nobody's code: this library's, Node's and the language's own. */
const foreign = [here, 'node:', '<anonymous>'];
